#include "devices/virtio_fs/dax/policy_store.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "base/log.h"
#include "base/status.h"
#include "devices/virtio_fs/dax/policy_change_text.h"

namespace daxvmm::dax {
namespace {

uint64_t NextId() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// As good as unique: two runs of a machine must not take each other's etags for their own.
uint64_t RandomNonce() {
  uint64_t nonce = 0;
  // Cannot fail for so few bytes, but on a kernel that knows no getrandom(2).
  if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce)) nonce = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
  return nonce;
}

bool HasRunOut(const Override& override, absl::Time now) { return override.expires_at && *override.expires_at <= now; }

std::shared_ptr<const CompiledPolicy> MustCompile(Policy policy, std::vector<Override> overrides) {
  auto compiled = CompiledPolicy::Compile(std::move(policy), std::move(overrides));
  CHECK(compiled.ok()) << compiled.status().ToString();
  return *std::move(compiled);
}

}  // namespace

PolicyStore::PolicyStore(Policy policy, PolicySource source)
    : PolicyStore(PolicyStart{.policy = std::move(policy), .source = std::move(source)}) {}

PolicyStore::PolicyStore(PolicyStart start) : id_(NextId()), nonce_(RandomNonce()) {
  MutexLock changing(&change_mu_);
  last_used_ = start.last_generation;
  start_file_policy_ = start.file_policy;
  {
    MutexLock lock(&mu_);
    history_.assign(start.history.begin(), start.history.end());
  }
  const absl::StatusOr<uint64_t> first =
      Publish({.action = PolicyAction::kStart,
               .compiled = MustCompile(std::move(start.policy), std::move(start.overrides)),
               .source = start.source,
               .change = std::move(start.change)});
  CHECK(first.ok()) << "nobody records yet";
}

std::shared_ptr<const PolicySnapshot> PolicyStore::Get() const {
  MutexLock lock(&mu_);
  return current_;
}

const PolicySnapshot& PolicyStore::Current() const {
  struct LastUsed {
    uint64_t store = 0;
    uint64_t generation = 0;
    std::shared_ptr<const PolicySnapshot> snapshot;
  };
  thread_local LastUsed last;
  if (last.store != id_ || last.generation != generation()) {
    last.snapshot = Get();
    last.store = id_;
    last.generation = last.snapshot->generation;
  }
  return *last.snapshot;
}

absl::Status PolicyStore::StartRecording(PolicyRecorder* recorder) {
  MutexLock changing(&change_mu_);
  recorder_ = recorder;
  const std::shared_ptr<const PolicySnapshot> first = Get();
  const std::vector<PolicyHistoryEntry> history = History();
  const absl::Status recorded = Record(*first, std::exchange(start_file_policy_, nullptr), history);
  recorder_->Attempted({.action = PolicyAction::kStart,
                        .source = first->source,
                        .from_generation = history.size() > 1 ? history[history.size() - 2].generation : 0,
                        .to_generation = recorded.ok() ? first->generation : 0,
                        .summary = history.back().summary,
                        .change = history.back().change,
                        .result = recorded});
  if (!recorded.ok()) recorder_ = nullptr;
  return recorded;
}

absl::StatusOr<uint64_t> PolicyStore::Set(Policy policy, const SetOptions& options) {
  MutexLock changing(&change_mu_);
  std::string wanted = recorder_ != nullptr ? DescribePolicy(policy, 0) : std::string();
  return Finish(PrepareSet(std::move(policy), options), PolicyAction::kSetPolicy, options.source, std::move(wanted));
}

absl::StatusOr<std::shared_ptr<const PolicySnapshot>> PolicyStore::WouldSet(Policy policy,
                                                                            const SetOptions& options) const {
  MutexLock changing(&change_mu_);
  ASSIGN_OR_RETURN(Next prepared, PrepareSet(std::move(policy), options));
  auto next = std::make_shared<PolicySnapshot>();
  next->compiled = std::move(prepared.compiled);
  next->generation = generation() + 1;
  next->source = options.source;
  next->since = absl::Now();
  return next;
}

std::string PolicyStore::EtagOf(uint64_t generation) const {
  return absl::StrCat(absl::Hex(nonce_, absl::kZeroPad16), "-", generation);
}

absl::StatusOr<PolicyStore::Next> PolicyStore::PrepareSet(Policy policy, const SetOptions& options) const {
  RETURN_IF_ERROR(CheckExpected(options));
  if (options.source.kind == SourceKind::kRequest && !options.force) {
    if (const std::string file = watched_file(); !file.empty()) {
      return WithReason(
          absl::FailedPreconditionError(absl::StrCat("the policy is the watched file ", file, "'s: change the file")),
          "POLICY_FILE_WATCHED", {{"file", file}});
    }
  }
  const std::shared_ptr<const CompiledPolicy> old = Get()->compiled;
  if (!options.parts.rules) policy.rules = old->policy().rules;
  if (!options.parts.default_outcome) policy.default_outcome = old->policy().default_outcome;
  if (!options.parts.enforcement) policy.enforcement = old->policy().enforcement;
  ASSIGN_OR_RETURN(auto compiled, CompiledPolicy::Compile(std::move(policy), old->overrides()));
  std::string change = DescribePolicyChange(old->policy(), compiled->policy());
  return Next{PolicyAction::kSetPolicy, std::move(compiled), options.source, std::move(change), options.file_policy};
}

void PolicyStore::SetWatchedFile(std::string path) {
  MutexLock lock(&mu_);
  watched_file_ = std::move(path);
}

std::string PolicyStore::watched_file() const {
  MutexLock lock(&mu_);
  return watched_file_;
}

absl::StatusOr<uint64_t> PolicyStore::SetOverride(Override override, const SetOptions& options) {
  MutexLock changing(&change_mu_);
  std::string wanted = recorder_ != nullptr ? DescribeOverrideChange(nullptr, &override) : std::string();
  return Finish(PrepareSetOverride(std::move(override), options), PolicyAction::kSetOverride, options.source,
                std::move(wanted));
}

absl::StatusOr<PolicyStore::Next> PolicyStore::PrepareSetOverride(Override override, const SetOptions& options) const {
  RETURN_IF_ERROR(Validate(override));
  const absl::Time now = absl::Now();
  if (HasRunOut(override, now)) return absl::InvalidArgumentError("expires_at: must not have passed");
  RETURN_IF_ERROR(CheckExpected(options));
  const std::shared_ptr<const CompiledPolicy> old = Get()->compiled;
  std::vector<Override> overrides = old->overrides();
  // What has run out takes no room.
  std::erase_if(overrides, [now](const Override& other) { return HasRunOut(other, now); });
  const auto same = std::ranges::find_if(overrides, [&override](const Override& other) {
    return other.share_tag == override.share_tag && other.file == override.file;
  });
  std::string change = DescribeOverrideChange(same != overrides.end() ? &*same : nullptr, &override);
  if (same != overrides.end()) {
    *same = std::move(override);
  } else {
    overrides.push_back(std::move(override));
  }
  ASSIGN_OR_RETURN(auto compiled, old->WithOverrides(std::move(overrides)));
  return Next{PolicyAction::kSetOverride, std::move(compiled), options.source, std::move(change)};
}

absl::StatusOr<uint64_t> PolicyStore::ClearOverride(const std::string& share_tag, const OverriddenFile& file,
                                                    const SetOptions& options) {
  MutexLock changing(&change_mu_);
  std::string wanted;
  if (recorder_ != nullptr) {
    const Override named{.share_tag = share_tag, .file = file};
    wanted = DescribeOverrideChange(&named, nullptr);
  }
  return Finish(PrepareClearOverride(share_tag, file, options), PolicyAction::kClearOverride, options.source,
                std::move(wanted));
}

absl::StatusOr<PolicyStore::Next> PolicyStore::PrepareClearOverride(const std::string& share_tag,
                                                                    const OverriddenFile& file,
                                                                    const SetOptions& options) const {
  RETURN_IF_ERROR(CheckExpected(options));
  const std::shared_ptr<const CompiledPolicy> old = Get()->compiled;
  std::vector<Override> overrides = old->overrides();
  std::string change;
  std::erase_if(overrides, [&](const Override& other) {
    if (other.share_tag != share_tag || other.file != file) return false;
    change = DescribeOverrideChange(&other, nullptr);
    return true;
  });
  if (change.empty()) {
    return WithReason(absl::NotFoundError("there is no override for that file"), "OVERRIDE_NOT_FOUND");
  }
  ASSIGN_OR_RETURN(auto compiled, old->WithOverrides(std::move(overrides)));
  return Next{PolicyAction::kClearOverride, std::move(compiled), options.source, std::move(change)};
}

std::optional<absl::Time> PolicyStore::ExpireOverrides(absl::Time now) {
  MutexLock changing(&change_mu_);
  const std::shared_ptr<const CompiledPolicy> old = Get()->compiled;
  std::optional<absl::Time> next;
  std::vector<Override> left;
  for (const Override& override : old->overrides()) {
    if (HasRunOut(override, now)) continue;
    if (override.expires_at && (!next || *override.expires_at < *next)) next = override.expires_at;
    left.push_back(override);
  }
  const size_t run_out = old->overrides().size() - left.size();
  if (run_out == 0) return next;
  auto compiled = old->WithOverrides(std::move(left));
  CHECK(compiled.ok()) << compiled.status().ToString();  // fewer than before
  const PolicySource source{.kind = SourceKind::kExpiry, .detail = CountedText(run_out, "override")};
  std::string change = absl::StrCat(CountedText(run_out, "override"), " ran out");
  const absl::StatusOr<uint64_t> done =
      Publish({PolicyAction::kExpireOverrides, *std::move(compiled), source, std::move(change)});
  if (done.ok()) return next;
  LOG_LIMITED(kWarning) << "overrides that have run out stay in the list, without counting: "
                        << std::string(done.status().message());
  return next ? std::min(*next, now + kRecordRetry) : now + kRecordRetry;
}

std::vector<PolicyHistoryEntry> PolicyStore::History() const {
  MutexLock lock(&mu_);
  return {history_.begin(), history_.end()};
}

absl::Status PolicyStore::CheckExpected(const SetOptions& options) const {
  const uint64_t in_force = generation();
  if (options.expected_generation && *options.expected_generation != in_force) {
    return WithReason(absl::AbortedError(absl::StrCat("expected_generation is ", *options.expected_generation,
                                                      ", but generation ", in_force, " is in force")),
                      "STALE_GENERATION", {{"generation", absl::StrCat(in_force)}});
  }
  if (!options.expected_etag.empty() && options.expected_etag != EtagOf(in_force)) {
    return WithReason(absl::AbortedError(
                          absl::StrCat("etag: not that of generation ", in_force, ", which is in force; read it anew")),
                      "STALE_ETAG", {{"generation", absl::StrCat(in_force)}, {"etag", EtagOf(in_force)}});
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> PolicyStore::Finish(absl::StatusOr<Next> next, PolicyAction action, const PolicySource& source,
                                             std::string wanted) {
  if (next.ok()) return Publish(*std::move(next));
  if (recorder_ != nullptr) {
    recorder_->Attempted({.action = action,
                          .source = source,
                          .from_generation = generation(),
                          .change = std::move(wanted),
                          .result = next.status()});
  }
  return next.status();
}

absl::Status PolicyStore::Record(const PolicySnapshot& next, const Policy* file_policy,
                                 const std::vector<PolicyHistoryEntry>& history) {
  const absl::Status recorded = recorder_->Record({.generation = next.generation,
                                                   .policy = next.compiled->policy(),
                                                   .overrides = next.compiled->overrides(),
                                                   .file_policy = file_policy,
                                                   .history = history});
  if (recorded.ok()) return recorded;
  if (recorded.code() == absl::StatusCode::kDataLoss) last_used_ = std::max(last_used_, next.generation);
  return absl::UnavailableError(recorded.message());
}

absl::StatusOr<uint64_t> PolicyStore::Publish(Next what) {
  auto next = std::make_shared<PolicySnapshot>();
  const uint64_t generation = next->generation = last_used_ + 1;
  next->compiled = std::move(what.compiled);
  next->source = what.source;
  next->since = absl::Now();
  PolicyHistoryEntry entry{generation, next->source, next->since,
                           DescribePolicy(next->compiled->policy(), next->compiled->overrides().size()),
                           std::move(what.change)};
  if (recorder_ != nullptr) {
    std::vector<PolicyHistoryEntry> history = History();
    history.push_back(entry);
    if (history.size() > kMaxHistory) history.erase(history.begin());
    const absl::Status recorded = Record(*next, what.file_policy, history);
    recorder_->Attempted({.action = what.action,
                          .source = next->source,
                          .from_generation = this->generation(),
                          .to_generation = recorded.ok() ? generation : 0,
                          .summary = entry.summary,
                          .change = entry.change,
                          .result = recorded});
    if (!recorded.ok()) return recorded;
  }
  last_used_ = generation;
  // Declared before the lock, so that the old policy is freed after it: readers wait for a pointer swap, no longer.
  std::shared_ptr<const PolicySnapshot> published = std::move(next);
  {
    MutexLock lock(&mu_);
    current_.swap(published);
    history_.push_back(entry);
    if (history_.size() > kMaxHistory) history_.pop_front();
    // Release: who sees the new generation and then takes the lock gets this snapshot or a later one.
    generation_.store(generation, std::memory_order_release);
  }
  if (observer_) observer_(entry);
  return generation;
}

}  // namespace daxvmm::dax
