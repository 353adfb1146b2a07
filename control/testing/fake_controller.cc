#include "control/testing/fake_controller.h"

#include "absl/strings/str_cat.h"

namespace daxvmm::control {
namespace {

// Those of one share, or all. NOT_FOUND if `tag` is no window's.
template <typename T>
absl::StatusOr<std::vector<T>> Select(const std::vector<T>& all, const std::vector<WindowUse>& shares,
                                      const std::string& tag) {
  if (tag.empty()) return all;
  bool known = false;
  for (const WindowUse& share : shares) known = known || share.share_tag == tag;
  if (!known) return absl::NotFoundError(absl::StrCat("share: there is none with the tag \"", tag, "\""));
  std::vector<T> selected;
  for (const T& one : all) {
    if (one.share_tag == tag) selected.push_back(one);
  }
  return selected;
}

}  // namespace

PolicyState FakeController::GetPolicy() const {
  const auto snapshot = store_.Get();
  return {.generation = snapshot->generation, .policy = snapshot->compiled->policy()};
}

absl::StatusOr<uint64_t> FakeController::SetPolicy(const dax::Policy& policy,
                                                   std::optional<uint64_t> expected_generation) {
  return store_.Set(policy,
                    {.source = {.kind = dax::SourceKind::kRequest}, .expected_generation = expected_generation});
}

absl::StatusOr<std::vector<LiveFile>> FakeController::ListFiles(const std::string& share_tag) const {
  if (policy_changes_during_list.load() > 0) {
    policy_changes_during_list.fetch_sub(1);
    if (auto set = store_.Set(store_.Get()->compiled->policy(), {}); !set.ok()) return set.status();
  }
  return Select(files, windows, share_tag);
}

absl::StatusOr<std::vector<WindowUse>> FakeController::GetWindows(const std::string& share_tag) const {
  return Select(windows, windows, share_tag);
}

void FakeController::FillWithExamples() {
  files = {
      {.share_tag = "data",
       .node_id = 2,
       .path = "big.bin",
       .size = MiB(6),
       .decision_dax = true,
       .decision_rule = "size",
       .told_dax = true,
       .told_generation = 1,
       .open = true,
       .mapped_chunks = 3,
       .setup_mappings = 4,
       .reads = 0,
       .writes = 1},
      // A name of one Latin-1 byte and a terminal's escape.
      {.share_tag = "data",
       .node_id = 3,
       .path = "caf\xe9\x1b[2J.txt",
       .size = ByteCount(32767),
       .decision_rule = "default",
       .told_generation = 1,
       .reads = 2},
      {.share_tag = "src", .node_id = 2, .path = "main.c", .size = KiB(4), .decision_rule = "default"},
  };
  windows = {
      {.share_tag = "data",
       .capacity = MiB(64),
       .guest_base = GuestPhysAddr(0x100000000),
       .read_only = false,
       .mount_mode = MountMode::kPerFile,
       .mapped_chunks = 3,
       .mapped_chunks_max = 5,
       .maps = 9,
       .unmaps = 6,
       .rejected = 1,
       .dropped_stores = 0},
      {.share_tag = "src"},
  };
}

}  // namespace daxvmm::control
