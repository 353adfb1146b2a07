// Ring 5: the same trace in a Linux guest and in the policy lab (tools/policy_lab), whose model of the guest's window
// the counts of requests are held against. Times are not: under TCG they say nothing.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"
#include "tools/policy_lab/lab.h"

namespace daxvmm::linux_test {
namespace {

constexpr uint64_t kFileSize = 2 * kChunk;
constexpr uint64_t kReadSize = 16 << 10;

// Reads at random over `files` files that all stay open.
lab::Trace RandomReads(const std::string& name, int files, int reads) {
  lab::Trace trace;
  trace.name = name;
  std::mt19937 random(1);
  for (int i = 0; i < files; ++i) trace.Open(trace.AddFile(kFileSize));
  for (int i = 0; i < reads; ++i) {
    trace.Read(static_cast<lab::FileId>(random() % static_cast<unsigned>(files)),
               random() % (kFileSize / kReadSize) * kReadSize, kReadSize);
  }
  for (int i = 0; i < files; ++i) trace.Close(static_cast<lab::FileId>(i));
  return trace;
}

// As daxtool plays it; the traces here have no other operations.
std::string ForDaxtool(const lab::Trace& trace) {
  std::string text = "verify off\n";
  for (const lab::Op& op : trace.ops) {
    if (op.kind == lab::OpKind::kOpen) absl::StrAppend(&text, "open f", op.file, " f", op.file, " r\n");
    if (op.kind == lab::OpKind::kClose) absl::StrAppend(&text, "close f", op.file, "\n");
    if (op.kind == lab::OpKind::kRead) absl::StrAppend(&text, "read f", op.file, " ", op.offset, " ", op.length, "\n");
  }
  return text;
}

struct Counts {
  uint64_t setups = 0;
  uint64_t removes = 0;
  uint64_t reads = 0;
};

// The guest has just mounted the share, plays /tmp/NAME there, and still holds its inodes afterwards.
absl::StatusOr<Counts> Play(Machine& machine, const std::string& name) {
  ASSIGN_OR_RETURN(const v1::Window before, WindowOf(machine, kNarrowTag));
  RETURN_IF_ERROR(StatusOf(machine.guest->Check(
      absl::StrCat("cd ", kNarrowMountPoint, "; daxtool play /tmp/", name, "; r=$?; cd /; (exit $r)"))));
  ASSIGN_OR_RETURN(const v1::Window after, WindowOf(machine, kNarrowTag));
  ASSIGN_OR_RETURN(const v1::ListFilesResponse files, machine.control->ListFiles(kNarrowTag));
  Counts counts{.setups = after.maps() - before.maps(), .removes = after.unmaps() - before.unmaps()};
  for (const v1::LiveFile& live : files.files()) counts.reads += live.reads();
  return counts;
}

// Measured on Debian 6.1 under TCG: within 9 %, and readahead adds a request or two. Who waits for whom in the guest is
// not the model's to know, so about twice that; a reclaim that works in another way is off by more. The few more
// are for small numbers.
void ExpectAbout(const char* what, uint64_t guest, uint64_t model) {
  EXPECT_GE(guest + guest / 6 + 4, model) << what;
  EXPECT_LE(guest, model + model / 6 + 4) << what;
}

TEST_F(LinuxTest, TracesCostTheRequestsThatTheLabExpects) {
  const std::vector<lab::Trace> traces = {RandomReads("fits", kNarrowChunks / 4, 100),
                                          RandomReads("fourfold", kNarrowChunks * 2, 200)};
  for (size_t i = 0; i < kNarrowChunks * 2; ++i) {
    UniqueFd fd(open(absl::StrCat(HostDir(kNarrowTag), "/f", i).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    ASSERT_EQ(ftruncate(fd.get(), kFileSize), 0);
  }
  for (const lab::Trace& trace : traces) std::ofstream(HostPath("trace-" + trace.name)) << ForDaxtool(trace);
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("cp ", GuestPath("trace-*"), " /tmp/"))));
  lab::GuestConfig config;
  config.window_bytes = kNarrowChunks * kChunk;
  printf("| trace | policy | SETUPMAPPING guest / lab | ranges removed guest / lab | FUSE_READ guest / lab |\n");
  for (const lab::Trace& trace : traces) {
    // "size" is as "always" for files of this size.
    for (const std::string policy : {"never", "always", "adaptive"}) {
      SCOPED_TRACE(absl::StrCat(trace.name, " under ", policy));
      ASSERT_OK(StatusOf(control().SetNamedPolicy(policy)));
      ASSERT_OK(Mount("dax=inode", kNarrowTag, kNarrowMountPoint));
      const absl::StatusOr<Counts> counts = Play(*machine_, "trace-" + trace.name);
      ASSERT_OK(StatusOf(counts));
      ASSERT_OK(StatusOf(guest().Check(absl::StrCat("umount ", kNarrowMountPoint))));
      const std::vector<lab::LabResult> results = lab::RunAll(trace, {policy}, config);
      ASSERT_EQ(results.size(), 1u);
      const lab::Metrics& model = results[0].metrics;
      ExpectAbout("SETUPMAPPING", counts->setups, model.setups);
      ExpectAbout("ranges removed", counts->removes, model.removes);
      ExpectAbout("FUSE_READ", counts->reads, model.fuse_reads);
      printf("| %s | %s | %llu / %llu | %llu / %llu | %llu / %llu |\n", trace.name.c_str(), policy.c_str(),
             static_cast<unsigned long long>(counts->setups), static_cast<unsigned long long>(model.setups),
             static_cast<unsigned long long>(counts->removes), static_cast<unsigned long long>(model.removes),
             static_cast<unsigned long long>(counts->reads), static_cast<unsigned long long>(model.fuse_reads));
    }
  }
}

}  // namespace
}  // namespace daxvmm::linux_test
