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
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

class LinuxTraceTest {
 public:
  LinuxTraceTest(Machine* machine, std::string host_dir) : machine_(*machine), host_dir_(std::move(host_dir)) {}

  // The guest has mounted the share, and holds nothing of it.
  absl::StatusOr<Counts> Play(const std::string& file) {
    absl::StatusOr<v1::Window> before = WindowOf(machine_, kNarrowTag);
    if (!before.ok()) return before.status();
    absl::StatusOr<std::string> played = machine_.guest->Check(
        absl::StrCat("cd ", kNarrowMountPoint, "; daxtool play /tmp/", file, "; r=$?; cd /; (exit $r)"));
    if (!played.ok()) return played.status();
    absl::StatusOr<v1::Window> after = WindowOf(machine_, kNarrowTag);
    if (!after.ok()) return after.status();
    absl::StatusOr<v1::ListFilesResponse> files = machine_.control->ListFiles(kNarrowTag);
    if (!files.ok()) return files.status();
    Counts counts{.setups = after->maps() - before->maps(), .removes = after->unmaps() - before->unmaps()};
    for (const v1::LiveFile& live : files->files()) counts.reads += live.reads();
    return counts;
  }

 private:
  Machine& machine_;
  const std::string host_dir_;
};

void ExpectAbout(const char* what, uint64_t guest, uint64_t model, double factor) {
  EXPECT_GE(static_cast<double>(guest) * factor, static_cast<double>(model)) << what;
  EXPECT_LE(static_cast<double>(guest), static_cast<double>(model) * factor) << what;
}

TEST_F(LinuxTest, TracesCostTheRequestsThatTheLabExpects) {
  const std::vector<lab::Trace> traces = {RandomReads("fits", kNarrowChunks / 4, 200),
                                          RandomReads("fourfold", kNarrowChunks * 2, 400)};
  const std::string host = HostDir(kNarrowTag);
  for (size_t i = 0; i < kNarrowChunks * 2; ++i) {
    UniqueFd fd(open(absl::StrCat(host, "/f", i).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    ASSERT_EQ(ftruncate(fd.get(), kFileSize), 0);
  }
  LinuxTraceTest player(machine_, host);
  lab::GuestConfig config;
  config.window_bytes = kNarrowChunks * kChunk;
  printf("| trace | policy | SETUPMAPPING guest / lab | ranges removed guest / lab | FUSE_READ guest / lab |\n");
  for (const lab::Trace& trace : traces) {
    // By the share, where it is no file of the trace's.
    std::ofstream(host + "/trace-" + trace.name) << ForDaxtool(trace);
    for (const std::string policy : {"never", "always", "size", "adaptive"}) {
      SCOPED_TRACE(absl::StrCat(trace.name, " under ", policy));
      ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
      ASSERT_OK(Mount("dax=inode", kNarrowTag, kNarrowMountPoint));
      ASSERT_OK(StatusOf(guest().Check(
          absl::StrCat("cp ", kNarrowMountPoint, "/trace-", trace.name, " /tmp/; umount ", kNarrowMountPoint))));
      ASSERT_OK(StatusOf(control().SetNamedPolicy(policy)));
      ASSERT_OK(Mount("dax=inode", kNarrowTag, kNarrowMountPoint));
      const absl::StatusOr<Counts> guest_counts = player.Play("trace-" + trace.name);
      ASSERT_OK(StatusOf(guest_counts));
      ASSERT_OK(StatusOf(guest().Check(absl::StrCat("umount ", kNarrowMountPoint))));
      const std::vector<lab::LabResult> results = lab::RunAll(trace, {policy}, config);
      ASSERT_EQ(results.size(), 1u);
      const lab::Metrics& model = results[0].metrics;
      printf("| %s | %s | %llu / %llu | %llu / %llu | %llu / %llu |\n", trace.name.c_str(), policy.c_str(),
             static_cast<unsigned long long>(guest_counts->setups), static_cast<unsigned long long>(model.setups),
             static_cast<unsigned long long>(guest_counts->removes), static_cast<unsigned long long>(model.removes),
             static_cast<unsigned long long>(guest_counts->reads), static_cast<unsigned long long>(model.fuse_reads));
    }
  }
}

}  // namespace
}  // namespace daxvmm::linux_test
