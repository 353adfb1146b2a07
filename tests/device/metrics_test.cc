// What real requests through a whole device count.
#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using fakes::BytesOf;
using fakes::BytesOfName;

class MetricsTest : public DeviceFixture {
 protected:
  uint64_t Requests(uint32_t opcode) const { return device_->request_totals().operations[opcode].requests(); }
  uint64_t Errors(uint32_t opcode, int error) const {
    const fuse::RequestTotals totals = device_->request_totals();
    for (size_t i = 0; i < fuse::kCountedErrors; ++i) {
      if (fuse::CountedErrors()[i] == error) return totals.operations[opcode].errors[i];
    }
    ADD_FAILURE() << "errno " << error << " is not counted by itself";
    return 0;
  }
  // Of the policy in force, by the names of its rules; with those that answered DAX, or the others.
  uint64_t Decisions(const std::string& rule, bool dax) const {
    const auto policy = policy_->Get();
    const std::vector<uint64_t> counts = device_->DecisionCounts(*policy->compiled);
    uint64_t sum = 0;
    for (size_t kind = 0; kind < counts.size(); ++kind) {
      const dax::Decision decision = policy->compiled->DecisionOfKind(kind);
      EXPECT_EQ(policy->compiled->KindOf(decision), kind);
      if (decision.dax == dax && policy->compiled->RuleName(decision) == rule) sum += counts[kind];
    }
    return sum;
  }
};

TEST_F(MetricsTest, RequestsByOperationTimeErrorAndBytes) {
  Mount();
  MakeFile("file", KiB(8));
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_EQ(Ask(FUSE_LOOKUP, FUSE_ROOT_ID, BytesOfName("none"), 128).error, ENOENT);
  const uint64_t fh = Open(node, O_RDWR);
  EXPECT_EQ(Read(node, fh, 0, 4096).payload.size(), 4096u);
  EXPECT_EQ(Read(node, fh, KiB(8).raw() - 100, 4096).payload.size(), 100u);
  EXPECT_EQ(Write(node, fh, 0, "hello").error, 0);
  EXPECT_EQ(Ask(FUSE_READ, node, BytesOf(fuse_read_in{.fh = 999, .size = 64}), 64).error, EBADF);
  EXPECT_EQ(Ask(4095, node, {}, 0).error, ENOSYS);

  const fuse::RequestTotals totals = device_->request_totals();
  EXPECT_EQ(Requests(FUSE_INIT), 1u);
  EXPECT_EQ(Requests(FUSE_LOOKUP), 2u);
  EXPECT_EQ(Errors(FUSE_LOOKUP, ENOENT), 1u);
  EXPECT_EQ(Requests(FUSE_READ), 3u);
  EXPECT_EQ(Errors(FUSE_READ, EBADF), 1u);
  EXPECT_EQ(Requests(FUSE_WRITE), 1u);
  EXPECT_EQ(Errors(FUSE_WRITE, EBADF), 0u);
  EXPECT_EQ(Requests(0), 1u);
  EXPECT_EQ(Errors(0, ENOSYS), 1u);
  EXPECT_EQ(totals.bytes_read, 4196u);
  EXPECT_EQ(totals.bytes_written, 5u);
  // A request takes some time, and less than the test may.
  EXPECT_GT(totals.operations[FUSE_READ].nanoseconds, 0u);
  EXPECT_LT(totals.operations[FUSE_READ].nanoseconds, 60'000'000'000u);
}

TEST_F(MetricsTest, QueuesByThemselves) {
  Mount();
  MakeFile("file", "x");
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_EQ(device_->queue_counts(0).requests(FUSE_FORGET), 0u);
  Forget(node, 1);
  EXPECT_EQ(device_->queue_counts(0).requests(FUSE_FORGET), 1u);
  EXPECT_EQ(device_->queue_counts(1).requests(FUSE_FORGET), 0u);
  EXPECT_EQ(device_->queue_counts(1).requests(FUSE_LOOKUP), 1u);
  EXPECT_EQ(device_->queue_counts(1).waiting(), 0u);
  EXPECT_GE(device_->queue_counts(1).signals(), 1u);
  EXPECT_EQ(device_->queue_counts(1).serving_since(), fuse::RequestCounts::TimePoint());
}

TEST_F(MetricsTest, ARingFullOfRequestsIsSeenToWait) {
  Mount();
  fuse_in_header header = {};
  header.len = sizeof(header) + sizeof(fuse_getattr_in);
  header.opcode = FUSE_GETATTR;
  header.nodeid = FUSE_ROOT_ID;
  constexpr size_t kRequests = 50;
  for (size_t i = 0; i < kRequests; ++i) {
    header.unique = 1000 + 2 * i;
    ASSERT_TRUE(driver_->queue(1).Add(
        {.out = BytesOf(header, fuse_getattr_in{}), .in_sizes = {16, sizeof(fuse_attr_out)}, .indirect = true}));
  }
  driver_->PublishAndNotify(1);
  ASSERT_EQ(driver_->Wait(1, kRequests).size(), kRequests);
  EXPECT_EQ(Requests(FUSE_GETATTR), kRequests);
  EXPECT_EQ(device_->queue_counts(1).waiting(), 0u) << "after the last reply";
}

TEST_F(MetricsTest, NothingGoesBackOverAResetOfTheDevice) {
  Mount();
  MakeFile("file", "x");
  Lookup("file");
  const uint64_t lookups = Requests(FUSE_LOOKUP);
  const uint64_t signals = device_->queue_counts(1).signals();
  ASSERT_EQ(lookups, 1u);
  ASSERT_TRUE(driver_->Reset().ok());
  EXPECT_EQ(Requests(FUSE_LOOKUP), lookups);
  EXPECT_EQ(device_->node_count(), 1u) << "the root alone";
  ASSERT_TRUE(driver_->Probe().ok());
  Init(kPerFileMount);
  Lookup("file");
  EXPECT_EQ(Requests(FUSE_LOOKUP), lookups + 1);
  EXPECT_EQ(Requests(FUSE_INIT), 2u);
  EXPECT_GT(device_->queue_counts(1).signals(), signals);
}

TEST_F(MetricsTest, DecisionsOfThePolicyInForce) {
  Mount();  // size: from 32 KiB on
  MakeFile("large", KiB(64));
  MakeFile("small", "x");
  const uint64_t large = Lookup("large").nodeid;
  Lookup("small");
  GetAttr(large);
  EXPECT_EQ(Decisions("size", true), 2u);
  EXPECT_EQ(Decisions("default", false), 1u);
  // An override leaves the rules as they are, and what was counted of them.
  ASSERT_TRUE(policy_->SetOverride({.share_tag = device_->tag(), .file = NodeId(large)}, {}).ok());  // no DAX
  GetAttr(large);
  EXPECT_EQ(Decisions("override", false), 1u);
  EXPECT_EQ(Decisions("size", true), 2u);
  // Other rules begin anew.
  ASSERT_TRUE(policy_->Set({.rules = {{.name = "all", .outcome = dax::Outcome::kDax}}}).ok());
  EXPECT_EQ(Decisions("all", true), 0u);
  EXPECT_EQ(Decisions("default", false), 0u);
  Lookup("small");
  EXPECT_EQ(Decisions("all", true), 1u);
}

TEST_F(MetricsTest, InodesAndDescriptors) {
  Mount();
  MakeFile("file", "x");
  const size_t nodes = device_->node_count();
  const size_t descriptors = device_->descriptor_count();
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_EQ(device_->node_count(), nodes + 1);
  EXPECT_EQ(device_->handle_count(), 0u);
  Open(node, O_RDONLY);
  EXPECT_EQ(device_->handle_count(), 1u);
  EXPECT_GT(device_->descriptor_count(), descriptors);
}

// For the thread sanitizer: who scrapes disturbs nobody, and sees nothing go back.
TEST_F(MetricsTest, IsReadWhileRequestsAreServed) {
  Mount();
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  std::atomic<bool> done{false};
  std::thread scraper([&] {
    uint64_t requests = 0, decisions = 0;
    while (!done.load()) {
      const uint64_t now = Requests(FUSE_GETATTR);
      EXPECT_GE(now, requests);
      requests = now;
      const uint64_t decided = Decisions("size", true);
      EXPECT_GE(decided, decisions);
      decisions = decided;
      const fuse::RequestCounts& queue = device_->queue_counts(1);
      EXPECT_LE(queue.waiting(), device_->queue_size_max());
    }
  });
  for (int i = 0; i < 500; ++i) GetAttr(node);
  done = true;
  scraper.join();
  EXPECT_EQ(Requests(FUSE_GETATTR), 500u);
  EXPECT_EQ(Decisions("size", true), 501u);
}

}  // namespace
}  // namespace daxvmm::virtio_fs
