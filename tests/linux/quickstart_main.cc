// The program behind scripts/quickstart: boots Linux in daxvmm on a share, shows file by file what the policy says and
// what became of it, changes the policy while the guest runs, and shows it again. Exit status 0 only if every fact in
// both tables is what the policy says.
#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "tests/linux/machine.h"

namespace daxvmm::linux_test {
namespace {

constexpr uint64_t kChunk = 2 << 20;
constexpr uint64_t kReverseLimit = 1 << 20;  // of the second policy: DAX below

struct ShownFile {
  const char* name;
  uint64_t size;
};
constexpr ShownFile kFiles[] = {{"notes.txt", 4096},
                                {"just-below.dat", 32767},
                                {"threshold.dat", 32768},
                                {"library.so", 1024 * 1024},
                                {"disk.img", 5 * 1024 * 1024}};

// What a table has to show: worked out from the file's size, not asked of daxvmm.
using DaxBySize = bool (*)(uint64_t size);

struct Expectation {
  bool dax = false;
  std::string rule;
};

// What the text of the policy says of a file.
Expectation Evaluate(const v1::Policy& policy, uint64_t size) {
  for (const v1::Rule& rule : policy.rules()) {
    if (rule.has_share() && rule.share() != kTag) continue;
    if (rule.has_size_at_least() && size < rule.size_at_least()) continue;
    if (rule.has_size_below() && size >= rule.size_below()) continue;
    return {rule.outcome() == v1::OUTCOME_DAX, rule.name()};
  }
  return {policy.default_outcome() == v1::OUTCOME_DAX, "default"};
}

struct Row {
  ShownFile file;
  bool dax = false;  // what has to be
  Expectation expected;
  FileView view;
  uint64_t reads = 0;  // FUSE_READ requests while the guest read it for this table

  bool AsExpected() const {
    const uint64_t chunks = dax ? (file.size + kChunk - 1) / kChunk : 0;
    return view.guest_size == file.size && view.host.size_bytes() == file.size && expected.dax == dax &&
           view.host.decision_dax() == dax && view.host.decision_rule() == expected.rule &&
           view.host.told_dax() == dax && view.guest_dax == dax && view.host.mapped_chunks() == chunks &&
           (reads == 0) == dax;
  }
};

void Print(const std::vector<Row>& rows) {
  printf("\n  %-15s %9s   %-13s %-22s %-15s %8s %10s\n", "", "", "the policy", "", "the guest sees", "mapped",
         "FUSE_READ");
  printf("  %-15s %9s   %-13s %-22s %-15s %8s %10s\n", "file", "bytes", "decides", "by its rule", "STATX_ATTR_DAX",
         "chunks", "requests");
  for (const Row& row : rows) {
    printf("  %-15s %9llu   %-13s %-22s %-15s %8u %10llu   %s\n", row.file.name,
           static_cast<unsigned long long>(row.file.size), row.view.host.decision_dax() ? "DAX" : "no DAX",
           row.view.host.decision_rule().c_str(), row.view.guest_dax ? "yes" : "no", row.view.host.mapped_chunks(),
           static_cast<unsigned long long>(row.reads), row.AsExpected() ? "ok" : "NOT WHAT THE POLICY SAYS");
  }
  printf("\n");
  fflush(stdout);
}

void Say(const std::string& text) {
  printf("%s\n", text.c_str());
  fflush(stdout);
}

std::string GuestPath(const ShownFile& file) { return absl::StrCat(kMountPoint, "/", file.name); }

// The guest reads the file; what came of it.
absl::StatusOr<Row> ReadAndObserve(Machine& machine, const ShownFile& file, const std::string& host_path,
                                   const v1::Policy& policy, DaxBySize dax) {
  Row row = {file, dax(file.size), Evaluate(policy, file.size), {}, 0};
  ASSIGN_OR_RETURN(std::optional<v1::LiveFile> before, FindFile(machine, kTag, file.name));
  RETURN_IF_ERROR(ReadInGuest(machine, GuestPath(file), host_path));
  ASSIGN_OR_RETURN(row.view, Observe(machine, file.name));
  row.reads = row.view.host.reads();
  // The counters are those of the inode's life, which may have begun before.
  if (before.has_value() && before->node_id() == row.view.host.node_id() && before->reads() <= row.reads) {
    row.reads -= before->reads();
  }
  return row;
}

// DAX for what is below 1 MiB: nearly the reverse of the default, in rules of its own.
v1::SetPolicyRequest ReversePolicy() {
  v1::SetPolicyRequest request;
  v1::Rule* rule = request.mutable_policy()->add_rules();
  rule->set_name("below-1M");
  rule->set_size_below(kReverseLimit);
  rule->set_outcome(v1::OUTCOME_DAX);
  request.mutable_policy()->set_default_outcome(v1::OUTCOME_NO_DAX);
  return request;
}

absl::StatusOr<bool> ShowTable(Machine& machine, const std::string& share_dir, DaxBySize dax, bool after_change) {
  ASSIGN_OR_RETURN(v1::GetPolicyResponse policy, machine.control->GetPolicy());
  std::vector<Row> rows;
  bool good = true;
  for (const ShownFile& file : kFiles) {
    if (after_change) {
      RETURN_IF_ERROR(WaitForDax(machine, file.name, dax(file.size)));
    }
    ASSIGN_OR_RETURN(Row row,
                     ReadAndObserve(machine, file, absl::StrCat(share_dir, "/", file.name), policy.policy(), dax));
    good = good && row.AsExpected();
    rows.push_back(std::move(row));
  }
  Print(rows);
  return good;
}

absl::StatusOr<bool> QuickStart() {
  ASSIGN_OR_RETURN(Environment environment, EnvironmentFromFlags());
  const std::string share_dir = absl::StrCat(environment.workdir, "/share");
  mkdir(share_dir.c_str(), 0755);
  for (const ShownFile& file : kFiles) {
    RETURN_IF_ERROR(WriteFile(absl::StrCat(share_dir, "/", file.name), file.size));
  }
  GuestOptions options;
  options.cpus = 2;
  options.shares = {absl::StrCat("path=", share_dir, ",tag=", kTag, ",dax-window=64M")};
  Say(absl::StrCat("Booting Debian's kernel in daxvmm: ", options.cpus, " CPUs, ", options.memory,
                   ", one share with a DAX window of 64 MiB."));
  ASSIGN_OR_RETURN(Machine machine, BootMachine(environment, options));
  char seconds[32];
  snprintf(seconds, sizeof(seconds), "%.1f", machine.guest->boot_seconds());
  Say(absl::StrCat("The guest is ready after ", seconds,
                   " s. It mounts the share with dax=inode and reads every file."));
  RETURN_IF_ERROR(
      machine.guest->Check(absl::StrCat("mount -t virtiofs -o dax=inode ", kTag, " ", kMountPoint)).status());

  Say("\nThe policy that daxvmm starts with: DAX for files of 32 KiB and more.");
  ASSIGN_OR_RETURN(const bool first,
                   ShowTable(machine, share_dir, [](uint64_t size) { return size >= kSizeThreshold; }, false));

  ASSIGN_OR_RETURN(const uint64_t generation, machine.control->SetPolicy(ReversePolicy()));
  Say(absl::StrCat("Set over gRPC while the guest runs (generation ", generation,
                   "): DAX for files below 1 MiB, none for the rest.\n"
                   "The guest notices when its attributes expire, and reads every file anew."));
  ASSIGN_OR_RETURN(const bool second,
                   ShowTable(machine, share_dir, [](uint64_t size) { return size < kReverseLimit; }, true));

  ASSIGN_OR_RETURN(const int status, machine.guest->Shutdown());
  if (status != 0) return absl::InternalError(absl::StrCat("daxvmm ended with status ", status, " after power-off"));
  return first && second;
}

int Main() {
  const absl::StatusOr<bool> good = QuickStart();
  if (!good.ok()) {
    fprintf(stderr, "quickstart: %s\n", std::string(good.status().message()).c_str());
    return 1;
  }
  Say(*good ? "Every fact in both tables is what the policy says; the guest has powered off."
            : "quickstart: some fact is NOT what the policy says; see above.");
  return *good ? 0 : 1;
}

}  // namespace
}  // namespace daxvmm::linux_test

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return daxvmm::linux_test::Main();
}
