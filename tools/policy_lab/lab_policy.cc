#include "tools/policy_lab/lab_policy.h"

#include <unordered_map>
#include <utility>

namespace daxvmm::lab {
namespace {

// DAX from a size on.
class SizePolicy final : public LabPolicy {
 public:
  explicit SizePolicy(uint64_t at_least) : at_least_(at_least) {}
  bool Instantiated(Nanos, FileId, uint64_t size, bool) override { return size >= at_least_; }
  bool Current(FileId, uint64_t size) const override { return size >= at_least_; }

 private:
  const uint64_t at_least_;
};

dax::AdaptiveTime At(Nanos now) { return dax::AdaptiveTime(now / 1'000'000); }

class Adaptive final : public LabPolicy {
 public:
  Adaptive(uint64_t capacity_chunks, const dax::AdaptiveTuning& tuning, VerdictLog log)
      : policy_(capacity_chunks, tuning), log_(std::move(log)) {}

  bool Instantiated(Nanos now, FileId file, uint64_t size, bool huge) override {
    const dax::Verdict verdict =
        policy_.Instantiated(At(now), {.file = dax::FileIdentity(file), .size = ByteCount(size), .huge_pages = huge});
    latched_[file] = verdict.dax;
    if (log_) log_(now, file, dax::ExplainVerdict(verdict, policy_.tuning()));
    return verdict.dax;
  }
  bool Current(FileId file, uint64_t) const override {
    const auto it = latched_.find(file);
    return it != latched_.end() && it->second;
  }
  bool Due(Nanos now, uint64_t maps) const override { return policy_.Due(At(now), maps); }
  void Forgotten(Nanos now, const dax::FileSample& last) override {
    policy_.Forgotten(At(now), last);
    latched_.erase(static_cast<FileId>(last.file.raw()));
  }
  size_t Tick(Nanos now, const dax::WindowSample& window, std::span<const dax::FileSample> active) override {
    const std::vector<dax::VerdictChange> changes = policy_.Tick(At(now), window, active);
    for (const dax::VerdictChange& change : changes) {
      const auto file = static_cast<FileId>(change.file.raw());
      if (log_) log_(now, file, dax::ExplainVerdict(change.verdict, policy_.tuning()));
      const auto it = latched_.find(file);
      if (it != latched_.end()) it->second = change.verdict.dax;
    }
    return changes.size();
  }

 private:
  dax::AdaptivePolicy policy_;
  const VerdictLog log_;
  std::unordered_map<FileId, bool> latched_;  // the bit that a server keeps in its inode
};

}  // namespace

std::unique_ptr<LabPolicy> MakePolicy(absl::string_view name, uint64_t capacity_chunks,
                                      const dax::AdaptiveTuning& tuning, VerdictLog log) {
  if (name == "always") return std::make_unique<SizePolicy>(0);
  if (name == "never") return std::make_unique<SizePolicy>(UINT64_MAX);
  if (name == "size") return std::make_unique<SizePolicy>(KiB(32).raw());
  if (name == "adaptive") return std::make_unique<Adaptive>(capacity_chunks, tuning, std::move(log));
  return nullptr;
}

}  // namespace daxvmm::lab
