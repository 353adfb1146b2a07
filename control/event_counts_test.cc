// What an event log counts. Beside the log's own tests: those that were left out count as well.
#include "control/event_log.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

uint64_t CountOf(const EventLog& log, EventKind kind) { return log.counts()[static_cast<size_t>(kind)]; }

TEST(EventCountsTest, AllThatHappenedIsCounted) {
  EventLog log([] { return absl::FromUnixSeconds(1); });
  log.Append(EventKind::kStarted, "");
  for (int i = 0; i < 2000; ++i) log.Append(EventKind::kWindowRepaired, "", "data");  // of which one is kept
  EXPECT_EQ(log.newest(), 2u);
  EXPECT_EQ(CountOf(log, EventKind::kStarted), 1u);
  EXPECT_EQ(CountOf(log, EventKind::kWindowRepaired), 2000u);
  EXPECT_EQ(CountOf(log, EventKind::kPaused), 0u);
}

TEST(EventCountsTest, NothingIsAfterTheEnd) {
  EventLog log;
  log.Append(EventKind::kPowerOff, "");
  log.Append(EventKind::kStopped, "");
  EXPECT_EQ(CountOf(log, EventKind::kPowerOff), 1u);
  EXPECT_EQ(CountOf(log, EventKind::kStopped), 0u);
}

}  // namespace
}  // namespace daxvmm::control
