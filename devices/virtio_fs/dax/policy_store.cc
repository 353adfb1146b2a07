#include "devices/virtio_fs/dax/policy_store.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "base/log.h"
#include "base/status.h"
#include "devices/virtio_fs/dax/policy_names.h"

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

std::string Counted(size_t n, absl::string_view what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

std::string SummaryOf(const CompiledPolicy& compiled) {
  std::string summary = absl::StrCat(Counted(compiled.policy().rules.size(), "rule"), ", default ",
                                     OutcomeName(compiled.policy().default_outcome));
  if (!compiled.overrides().empty()) absl::StrAppend(&summary, ", ", Counted(compiled.overrides().size(), "override"));
  return summary;
}

bool HasRunOut(const Override& override, absl::Time now) { return override.expires_at && *override.expires_at <= now; }

std::shared_ptr<const CompiledPolicy> MustCompile(Policy policy) {
  absl::StatusOr<std::shared_ptr<const CompiledPolicy>> compiled = CompiledPolicy::Compile(std::move(policy));
  CHECK(compiled.ok()) << compiled.status().ToString();
  return *std::move(compiled);
}

}  // namespace

PolicyStore::PolicyStore(Policy policy, PolicySource source) : id_(NextId()), nonce_(RandomNonce()) {
  MutexLock changing(&change_mu_);
  Publish(MustCompile(std::move(policy)), std::move(source));
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

absl::StatusOr<uint64_t> PolicyStore::Set(Policy policy, const SetOptions& options) {
  MutexLock changing(&change_mu_);
  ASSIGN_OR_RETURN(auto compiled, Prepare(std::move(policy), options));
  return Publish(std::move(compiled), options.source);
}

absl::StatusOr<std::shared_ptr<const PolicySnapshot>> PolicyStore::WouldSet(Policy policy,
                                                                            const SetOptions& options) const {
  MutexLock changing(&change_mu_);
  auto next = std::make_shared<PolicySnapshot>();
  ASSIGN_OR_RETURN(next->compiled, Prepare(std::move(policy), options));
  next->generation = generation() + 1;
  next->source = options.source;
  next->since = absl::Now();
  return next;
}

std::string PolicyStore::EtagOf(uint64_t generation) const {
  return absl::StrCat(absl::Hex(nonce_, absl::kZeroPad16), "-", generation);
}

absl::StatusOr<std::shared_ptr<const CompiledPolicy>> PolicyStore::Prepare(Policy policy,
                                                                           const SetOptions& options) const {
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
  return CompiledPolicy::Compile(std::move(policy), old->overrides());
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
  RETURN_IF_ERROR(Validate(override));
  if (HasRunOut(override, absl::Now())) return absl::InvalidArgumentError("expires_at: must not have passed");
  MutexLock changing(&change_mu_);
  RETURN_IF_ERROR(CheckExpected(options));
  const std::shared_ptr<const CompiledPolicy> old = Get()->compiled;
  std::vector<Override> overrides = old->overrides();
  // What has run out takes no room.
  std::erase_if(overrides, [now = absl::Now()](const Override& other) { return HasRunOut(other, now); });
  const auto same = std::ranges::find_if(overrides, [&override](const Override& other) {
    return other.share_tag == override.share_tag && other.file == override.file;
  });
  if (same != overrides.end()) {
    *same = std::move(override);
  } else {
    overrides.push_back(std::move(override));
  }
  ASSIGN_OR_RETURN(auto compiled, old->WithOverrides(std::move(overrides)));
  return Publish(std::move(compiled), options.source);
}

absl::StatusOr<uint64_t> PolicyStore::ClearOverride(const std::string& share_tag, const OverriddenFile& file,
                                                    const SetOptions& options) {
  MutexLock changing(&change_mu_);
  RETURN_IF_ERROR(CheckExpected(options));
  const std::shared_ptr<const CompiledPolicy> old = Get()->compiled;
  std::vector<Override> overrides = old->overrides();
  const size_t cleared = std::erase_if(
      overrides, [&](const Override& other) { return other.share_tag == share_tag && other.file == file; });
  if (cleared == 0) {
    return WithReason(absl::NotFoundError("there is no override for that file"), "OVERRIDE_NOT_FOUND");
  }
  ASSIGN_OR_RETURN(auto compiled, old->WithOverrides(std::move(overrides)));
  return Publish(std::move(compiled), options.source);
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
  Publish(*std::move(compiled), {.kind = SourceKind::kExpiry, .detail = Counted(run_out, "override")});
  return next;
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

uint64_t PolicyStore::Publish(std::shared_ptr<const CompiledPolicy> compiled, PolicySource source) {
  auto next = std::make_shared<PolicySnapshot>();
  const uint64_t generation = next->generation = generation_.load(std::memory_order_relaxed) + 1;
  next->compiled = std::move(compiled);
  next->source = std::move(source);
  next->since = absl::Now();
  PolicyHistoryEntry entry{next->generation, next->source, next->since, SummaryOf(*next->compiled)};
  // Declared before the lock, so that the old policy is freed after it: readers wait for a pointer swap, no longer.
  std::shared_ptr<const PolicySnapshot> published = std::move(next);
  MutexLock lock(&mu_);
  current_.swap(published);
  history_.push_back(std::move(entry));
  if (history_.size() > kMaxHistory) history_.pop_front();
  // Release: who sees the new generation and then takes the lock gets this snapshot or a later one.
  generation_.store(generation, std::memory_order_release);
  return generation;
}

}  // namespace daxvmm::dax
