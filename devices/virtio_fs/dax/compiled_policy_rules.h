// The rules of a policy, made ready: of each condition, which rules it lets through for each value. Internal to
// compiled_policy.h.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_RULES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_RULES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/compiled_policy_facts.h"
#include "devices/virtio_fs/dax/path_pattern_set.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/rule_bits.h"

namespace daxvmm::dax {

// The persistent hint, asked for when it is first needed.
class LazyHint {
 public:
  explicit LazyHint(absl::FunctionRef<bool()> ask) : ask_(ask) {}
  bool Get() {
    if (!known_) known_ = ask_() ? 2 : 1;
    return known_ == 2;
  }

 private:
  absl::FunctionRef<bool()> ask_;
  uint8_t known_ = 0;
};

// The conditions that a file's placement decides, which a class remembers; the rest is asked at each decision.
class ConditionsOnPaths {
 public:
  explicit ConditionsOnPaths(const std::vector<Rule>& rules);

  // The rules that have any.
  const RuleBits& asking() const { return asking_; }
  enum List : uint8_t { kPaths, kSubtrees, kExtensions, kLists };
  // Of each list, the rules that it lets through.
  std::array<RuleBits, kLists> ByList(const std::optional<std::string>& path) const;
  // Those of `rules` that all lists let through.
  RuleBits Holding(const std::optional<std::string>& path, RuleBits rules) const;

 private:
  struct Use {
    uint16_t rule;
    List list;
  };

  void Add(const std::vector<std::string>& regexes, Use use, std::unordered_map<std::string, size_t>* known,
           std::vector<std::string>* all);

  RuleBits asking_;
  std::array<RuleBits, kLists> not_asking_;  // of each list, the rules that have none
  std::vector<std::vector<Use>> uses_;       // of each pattern
  std::optional<PathPatternSet> patterns_;   // none if no rule asks
};

class CompiledRules {
 public:
  // `policy` must be valid.
  explicit CompiledRules(Policy policy);
  // Parts refer to each other's.
  CompiledRules(const CompiledRules&) = delete;
  CompiledRules& operator=(const CompiledRules&) = delete;

  const Policy& policy() const { return policy_; }
  uint64_t id() const { return id_; }  // of no other one, before or after
  const ConditionsOnPaths& paths() const { return paths_; }
  // Whether some outcome, the default's included, is kAdaptive.
  bool has_adaptive() const { return has_adaptive_; }
  // The most classes that there can be as long as nobody asks for paths.
  size_t classes_without_paths() const { return (by_tag_.size() + 1) * 2; }

  // The rules whose conditions on the share hold.
  RuleBits OfShare(absl::string_view tag, bool read_only) const;
  // The first of `candidates` (the words of a class) whose other conditions hold, or kDefaultRule. No lock, no
  // allocation.
  uint16_t First(const uint64_t* candidates, const Facts& facts, LazyHint& hint) const;

 private:
  const Policy policy_;
  const uint64_t id_;
  const size_t words_;
  const ConditionsOnPaths paths_;
  bool has_adaptive_ = false;

  std::unordered_map<std::string, RuleBits> by_tag_;  // of each tag that some rule names
  RuleBits any_tag_;
  std::array<RuleBits, 2> by_read_only_;

  IntervalBits by_size_;
  IntervalBits by_uid_;
  IntervalBits by_gid_;
  bool asks_for_flags_ = false;
  std::array<RuleBits, 4> by_flags_;  // executable, and 2 for huge pages
  bool asks_for_hint_ = false;
  RuleBits needs_hint_;
  std::array<RuleBits, 2> by_hint_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_COMPILED_POLICY_RULES_H_
