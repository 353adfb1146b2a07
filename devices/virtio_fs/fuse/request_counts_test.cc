#include "devices/virtio_fs/fuse/request_counts.h"

#include <atomic>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/named_thread.h"
#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

constexpr uint32_t kLookup = 1;
constexpr uint32_t kAccess = 34;

RequestCounts::TimePoint At(int64_t nanoseconds) {
  return RequestCounts::TimePoint(std::chrono::nanoseconds(1'000'000'000 + nanoseconds));
}

void Count(RequestCounts* counts, uint32_t opcode, int64_t took, Errno error = kOk) {
  counts->Begun(At(0));
  counts->Served(opcode, error);
  counts->Answered(At(took), 0);
}

uint64_t ErrorsOf(const OperationTotals& operation, int error) {
  for (size_t i = 0; i < kCountedErrors; ++i) {
    if (CountedErrors()[i] == error) return operation.errors[i];
  }
  ADD_FAILURE() << "errno " << error << " is not counted by itself";
  return 0;
}

TEST(LatencyBucketTest, EachBoundEndsItsBucket) {
  ASSERT_EQ(kLatencyBounds.front(), 1'000u);
  ASSERT_EQ(kLatencyBounds.back(), 10'000'000'000u);
  for (size_t i = 0; i < kLatencyBounds.size(); ++i) {
    EXPECT_EQ(LatencyBucket(kLatencyBounds[i]), i);
    EXPECT_EQ(LatencyBucket(kLatencyBounds[i] + 1), i + 1);
    if (i > 0) {
      EXPECT_GE(kLatencyBounds[i], 2 * kLatencyBounds[i - 1]) << "two bounds in one octave";
    }
  }
  EXPECT_EQ(LatencyBucket(0), 0u);
  EXPECT_EQ(LatencyBucket(~uint64_t{0}), kLatencyBuckets - 1);
}

TEST(LatencyBucketTest, IsWhatASearchWouldFind) {
  for (uint64_t ns = 1; ns < 40'000'000'000; ns += 1 + ns / 7) {
    size_t expected = 0;
    while (expected < kLatencyBounds.size() && ns > kLatencyBounds[expected]) ++expected;
    ASSERT_EQ(LatencyBucket(ns), expected) << ns;
  }
}

class RequestCountsTest : public ::testing::Test {
 protected:
  // On the heap, as the device has them: the address sanitizer's stack has less alignment than they need.
  const std::unique_ptr<RequestCounts> counts_ = std::make_unique<RequestCounts>();
};

TEST_F(RequestCountsTest, StandsOnItsOwnCacheLines) {
  static_assert(alignof(RequestCounts) == kCacheLine);
  static_assert(sizeof(RequestCounts) % kCacheLine == 0);
}

TEST_F(RequestCountsTest, CountsByOpcodeTimeAndError) {
  RequestCounts& counts = *counts_;
  Count(&counts, kLookup, 1'500);
  Count(&counts, kLookup, 1'500, Errno(ENOENT));
  Count(&counts, kAccess, 20'000'000'000, Errno(EBADMSG));
  Count(&counts, 9999, 1, Errno(ENOSYS));
  Count(&counts, kAccess, -5);  // a clock that goes back takes no time
  counts.Read(7);
  counts.Written(11);
  RequestTotals totals;
  counts.AddTo(&totals);
  counts.AddTo(&totals);  // sums are added to
  EXPECT_EQ(totals.operations[kLookup].requests(), 4u);
  EXPECT_EQ(totals.operations[kLookup].latency[1], 4u);
  EXPECT_EQ(totals.operations[kLookup].nanoseconds, 6'000u);
  EXPECT_EQ(ErrorsOf(totals.operations[kLookup], ENOENT), 2u);
  EXPECT_EQ(totals.operations[kAccess].latency.back(), 2u);
  EXPECT_EQ(totals.operations[kAccess].latency.front(), 2u);
  EXPECT_EQ(totals.operations[kAccess].errors[0], 2u) << "an errno that is not told apart";
  EXPECT_EQ(totals.operations[0].requests(), 2u);
  EXPECT_EQ(totals.bytes_read, 14u);
  EXPECT_EQ(totals.bytes_written, 22u);
  EXPECT_EQ(counts.requests(kLookup), 2u);
  EXPECT_EQ(counts.requests(kCountedOpcodes), 0u);
}

TEST_F(RequestCountsTest, WhatWasNoRequestIsNotCounted) {
  RequestCounts& counts = *counts_;
  Count(&counts, kLookup, 1);
  counts.Begun(At(0));
  counts.Answered(At(9), 3);
  EXPECT_EQ(counts.requests(kLookup), 1u);
  EXPECT_EQ(counts.waiting(), 3u);
}

TEST_F(RequestCountsTest, ShowsTheRequestThatIsBeingServed) {
  RequestCounts& counts = *counts_;
  EXPECT_EQ(counts.serving_since(), RequestCounts::TimePoint());
  counts.Begun(At(5));
  EXPECT_EQ(counts.serving_since(), At(5));
  counts.Answered(At(9), 0);
  EXPECT_EQ(counts.serving_since(), RequestCounts::TimePoint());
}

TEST_F(RequestCountsTest, KeepsTheConclusionsOfOneSubject) {
  RequestCounts& counts = *counts_;
  counts.Concluded(1, 3, 2);
  counts.Concluded(1, 3, 2);
  counts.Concluded(1, 3, 3);  // no such conclusion
  std::vector<uint64_t> sums(3);
  counts.AddConclusions(1, sums);
  EXPECT_EQ(sums, (std::vector<uint64_t>{0, 0, 2}));
  counts.AddConclusions(2, sums);
  EXPECT_EQ(sums, (std::vector<uint64_t>{0, 0, 2}));
  counts.Concluded(2, 5, 4);
  counts.AddConclusions(1, sums);
  EXPECT_EQ(sums, (std::vector<uint64_t>{0, 0, 2}));
  counts.AddConclusions(2, sums);  // fewer than there are
  EXPECT_EQ(sums, (std::vector<uint64_t>{0, 0, 2}));
  std::vector<uint64_t> five(5);
  counts.AddConclusions(2, five);
  EXPECT_EQ(five[4], 1u);
}

// For the thread sanitizer, and for what only readers beside the owner can see.
TEST_F(RequestCountsTest, SumsNeverGoBackBesideTheOwners) {
  constexpr int kOwners = 2;
  constexpr uint64_t kRequests = 50'000;
  std::vector<std::unique_ptr<RequestCounts>> blocks;
  for (int i = 0; i < kOwners; ++i) blocks.push_back(std::make_unique<RequestCounts>());
  std::atomic<int> counting{kOwners};
  std::vector<NamedThread> owners;
  for (auto& block : blocks) {
    owners.emplace_back("owner", [&counting, counts = block.get()] {
      for (uint64_t i = 0; i < kRequests; ++i) {
        Count(counts, kLookup, static_cast<int64_t>(i), i % 2 != 0 ? Errno(EIO) : kOk);
        counts->Concluded(i / 10'000, 4, i % 4);
      }
      counting.fetch_sub(1);
    });
  }
  uint64_t before = 0;
  for (bool last = false;;) {
    RequestTotals totals;
    std::vector<uint64_t> sums(4);
    for (const auto& block : blocks) {
      block->AddTo(&totals);
      block->AddConclusions(4, sums);
    }
    const uint64_t now = totals.operations[kLookup].requests();
    ASSERT_GE(now, before);
    before = now;
    if (last) {
      EXPECT_EQ(now, kOwners * kRequests);
      EXPECT_EQ(ErrorsOf(totals.operations[kLookup], EIO), kOwners * kRequests / 2);
      EXPECT_EQ(sums, std::vector<uint64_t>(4, kOwners * 2'500u));
      break;
    }
    last = counting.load() == 0;
  }
}

}  // namespace
}  // namespace daxvmm::fuse
