#include "control/event_log.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

class EventLogTest : public testing::Test {
 protected:
  // All that a reader sees from `place` on: "3:message", with "+n" for n missed before it.
  std::vector<std::string> ReadAll(EventLog::Place place = {}, const EventLog::Kinds& kinds = {}) {
    std::vector<std::string> seen;
    for (;;) {
      const EventLog::Entry entry = log_.Next(kinds, &place);
      ended_ = entry.ended;
      if (!entry.event.has_value()) return seen;
      seen.push_back(absl::StrCat(entry.event->sequence, ":", entry.event->message,
                                  entry.missed == 0 ? "" : absl::StrCat("+", entry.missed)));
    }
  }
  static EventLog::Kinds Only(EventKind kind) {
    EventLog::Kinds kinds;
    kinds.set(static_cast<size_t>(kind));
    return kinds;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  EventLog log_{[this] { return now_; }};
  bool ended_ = false;
};

using Lines = std::vector<std::string>;

TEST_F(EventLogTest, NumbersWhatIsAppended) {
  EXPECT_EQ(ReadAll(), Lines{});
  EXPECT_EQ(log_.newest(), 0u);
  log_.Append(EventKind::kStarted, "a");
  now_ += absl::Seconds(3);
  log_.Append(EventKind::kPolicyChanged, "b", "share", 7);
  EXPECT_EQ(ReadAll(), (Lines{"1:a", "2:b"}));
  EXPECT_EQ(ReadAll({.after = 1}), Lines{"2:b"});
  EXPECT_EQ(ReadAll({.after = 2}), Lines{});
  EXPECT_EQ(log_.newest(), 2u);
  EventLog::Place place{.after = 1};
  const EventLog::Entry entry = log_.Next({}, &place);
  EXPECT_EQ(entry.event->kind, EventKind::kPolicyChanged);
  EXPECT_EQ(entry.event->time, now_);
  EXPECT_EQ(entry.event->share, "share");
  EXPECT_EQ(entry.event->generation, 7u);
}

TEST_F(EventLogTest, AFilteredReaderGetsPastTheRest) {
  log_.Append(EventKind::kStarted, "a");
  log_.Append(EventKind::kPaused, "b");
  log_.Append(EventKind::kResumed, "c");
  EventLog::Place place;
  EXPECT_EQ(log_.Next(Only(EventKind::kPaused), &place).event->message, "b");
  EXPECT_FALSE(log_.Next(Only(EventKind::kPaused), &place).event.has_value());
  EXPECT_EQ(place.after, 3u);
  EXPECT_EQ(place.missed, 0u) << "what was not wanted is not missed";
}

TEST_F(EventLogTest, TheOldestGoAndAreCounted) {
  for (size_t i = 1; i <= EventLog::kCapacity + 3; ++i) log_.Append(EventKind::kPaused, "p");
  const Lines seen = ReadAll();
  ASSERT_EQ(seen.size(), EventLog::kCapacity);
  EXPECT_EQ(seen[0], "4:p+3");
  EXPECT_EQ(seen[1], "5:p");
  EXPECT_EQ(ReadAll({.after = 2})[0], "4:p+1");
}

TEST_F(EventLogTest, WhatWasMissedIsToldWithTheFirstEventThatIsWanted) {
  for (size_t i = 0; i < EventLog::kCapacity; ++i) log_.Append(EventKind::kPaused, "p");
  log_.Append(EventKind::kResumed, "r");
  EXPECT_EQ(ReadAll({}, Only(EventKind::kResumed)), Lines{"1025:r+1"});
}

TEST_F(EventLogTest, NothingFollowsTheEnd) {
  log_.Append(EventKind::kStarted, "a");
  ReadAll();
  EXPECT_FALSE(ended_);
  log_.Append(EventKind::kPowerOff, "b");
  log_.Append(EventKind::kPolicyChanged, "c");
  EXPECT_EQ(ReadAll(), (Lines{"1:a", "2:b"}));
  EXPECT_TRUE(ended_);
  EXPECT_EQ(ReadAll({}, Only(EventKind::kPaused)), Lines{});
  EXPECT_TRUE(ended_) << "for those who do not want the last event, too";
}

TEST_F(EventLogTest, EveryEndIsOne) {
  for (int kind = 1; kind < static_cast<int>(kEventKinds); ++kind) {
    EventLog log;
    log.Append(static_cast<EventKind>(kind), "");
    EventLog::Place place;
    EXPECT_EQ(log.Next({}, &place).ended, kind >= 5 && kind <= 10) << kind;
  }
}

TEST_F(EventLogTest, AGuestCausesOneOfAKindPerSecond) {
  for (int i = 0; i < 10; ++i) log_.Append(EventKind::kNeedsReset, "broken", "data");
  log_.Append(EventKind::kNeedsReset, "broken", "other");
  log_.Append(EventKind::kWindowRepaired, "withdrawn", "data");
  log_.Append(EventKind::kWindowRepaired, "back", "data");
  now_ += absl::Seconds(1);
  log_.Append(EventKind::kNeedsReset, "broken", "data");
  now_ += absl::Seconds(1);
  log_.Append(EventKind::kNeedsReset, "broken", "data");
  EXPECT_EQ(ReadAll(), (Lines{"1:broken", "2:broken", "3:withdrawn", "4:back",
                              "5:broken (9 more since the last such event)", "6:broken"}));
}

TEST_F(EventLogTest, AClockThatIsSetBackKeepsNothingAway) {
  log_.Append(EventKind::kNeedsReset, "broken", "data");
  now_ -= absl::Hours(1);
  log_.Append(EventKind::kNeedsReset, "broken", "data");
  EXPECT_EQ(ReadAll().size(), 2u);
}

TEST_F(EventLogTest, AGuestDoesNotPushOutWhatIsNotItsOwn) {
  log_.Append(EventKind::kStarted, "start");
  for (size_t i = 0; i < 3 * EventLog::kCapacity; ++i) {
    log_.Append(EventKind::kWindowRepaired, "w", "data");
    log_.Append(EventKind::kNeedsReset, "n", "data");
    now_ += absl::Seconds(1);
  }
  const Lines seen = ReadAll();
  EXPECT_EQ(seen.size(), 1 + 2 * EventLog::kMaxOfGuestKind);
  EXPECT_EQ(seen[0], "1:start");
  EXPECT_EQ(seen[1], absl::StrCat(2 + 2 * (3 * EventLog::kCapacity - EventLog::kMaxOfGuestKind), ":w+",
                                  2 * (3 * EventLog::kCapacity - EventLog::kMaxOfGuestKind)));
}

TEST_F(EventLogTest, LongMessagesAreCut) {
  log_.Append(EventKind::kPolicyFileRefused, std::string(5000, 'x'));
  EXPECT_EQ(ReadAll()[0].size(), EventLog::kMaxMessage + 2);
}

TEST_F(EventLogTest, WakesWhoWaits) {
  Waker waker;
  log_.AddWaker(&waker);
  std::thread writer([this] { log_.Append(EventKind::kStarted, "a"); });
  waker.Await();
  EXPECT_EQ(ReadAll(), Lines{"1:a"});
  writer.join();
  log_.RemoveWaker(&waker);
}

TEST_F(EventLogTest, ManyMayWriteAndReadAtOnce) {
  constexpr int kEach = 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < kEach; ++i) log_.Append(EventKind::kPaused, "p");
    });
  }
  uint64_t seen = 0;
  EventLog::Place place;
  while (seen < 3 * kEach) {
    const EventLog::Entry entry = log_.Next({}, &place);
    if (entry.event.has_value()) seen += 1 + entry.missed;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, 3u * kEach) << "every event is read, or told to be missed";
}

}  // namespace
}  // namespace daxvmm::control
