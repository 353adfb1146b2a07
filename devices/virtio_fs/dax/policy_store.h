// The policy in force: an immutable snapshot with a generation, replaced as a whole while the machine runs.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_STORE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "devices/virtio_fs/dax/compiled_policy.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_override.h"
#include "devices/virtio_fs/dax/policy_record.h"

namespace daxvmm::dax {

// What a change takes of the policy that it brings; the rest stays as it is in force.
struct PolicyParts {
  bool rules = true;
  bool default_outcome = true;
  bool enforcement = true;
};

struct PolicySnapshot {
  uint64_t generation = 0;  // 1 for the first, then one more with each change, overrides included
  std::shared_ptr<const CompiledPolicy> compiled;
  PolicySource source;
  absl::Time since;
};

// What a store begins with.
struct PolicyStart {
  Policy policy;
  std::vector<Override> overrides;
  PolicySource source;
  std::string change;                       // of the first generation, for the history
  const Policy* file_policy = nullptr;      // as in PolicyRecord; for StartRecording, until which it lives
  uint64_t last_generation = 0;             // the first one is one more
  std::vector<PolicyHistoryEntry> history;  // of the generations before, oldest first
};

// Any thread may call any method. Readers never wait for a policy to be validated, compiled or freed: their lock is
// held for a pointer copy or swap, whoever takes it. Those who change something wait for each other.
class PolicyStore {
 public:
  static constexpr size_t kMaxHistory = 256;
  static constexpr absl::Duration kRecordRetry = absl::Seconds(10);

  // `policy` must be valid.
  explicit PolicyStore(Policy policy, PolicySource source = {});
  // Policy and overrides must be valid.
  explicit PolicyStore(PolicyStart start);

  std::shared_ptr<const PolicySnapshot> Get() const;
  // The snapshot in force, for the data path: no lock and no count is touched, but for the first call of a thread after
  // a change. Valid until the thread's next call of it, on whichever store; at most to the end of a request, that is.
  // A thread keeps what it got last from being freed, until then or its end.
  const PolicySnapshot& Current() const;
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Records the generation in force, and from then on each one before it is in force. Once, before anybody else calls a
  // method that changes something. `recorder` outlives this. With an error nothing is recorded, now or later.
  absl::Status StartRecording(PolicyRecorder* recorder);

  struct SetOptions {
    PolicySource source;
    const Policy* file_policy = nullptr;  // as in PolicyRecord; of Set only
    std::optional<uint64_t> expected_generation;
    std::string expected_etag;  // empty: whichever is in force
    bool force = false;
    PolicyParts parts;  // of Set
  };
  // Validates, compiles and publishes; the new generation. The overrides stay as they are. INVALID_ARGUMENT as Validate
  // says; ABORTED if `expected_generation` or `expected_etag` is given and is not the one in force; FAILED_PRECONDITION
  // if a request would replace what a watched file says, and does not `force` it; UNAVAILABLE if the recorder could not
  // keep it. The old policy stays then.
  absl::StatusOr<uint64_t> Set(Policy policy, const SetOptions& options);
  absl::StatusOr<uint64_t> Set(Policy policy) { return Set(std::move(policy), SetOptions()); }

  // What Set would publish, numbered one after the generation in force; its errors. Changes and records nothing.
  absl::StatusOr<std::shared_ptr<const PolicySnapshot>> WouldSet(Policy policy, const SetOptions& options) const;

  // Names a generation of this store, and none of any other store, of whichever process. Opaque.
  std::string EtagOf(uint64_t generation) const;

  // Called after each change, with the generation that has come into force: on the thread that made it, one change
  // after the other, before anybody can make the next. Must not change the policy. Before the store is shared.
  void SetObserver(std::function<void(const PolicyHistoryEntry&)> observer) { observer_ = std::move(observer); }

  // While not empty, that file is the source of truth: see Set. "" takes it back.
  void SetWatchedFile(std::string path);
  std::string watched_file() const;

  // Overrides are no part of a watched file, hence none refuses them; `force` has no meaning for them.
  //
  // Sets it, instead of one for the same file if there is. INVALID_ARGUMENT for a field that is wrong, an expiry that
  // has passed included; RESOURCE_EXHAUSTED above kMaxOverrides or kMaxOverrideTextBytes; ABORTED and UNAVAILABLE as
  // above.
  absl::StatusOr<uint64_t> SetOverride(Override override, const SetOptions& options);
  // NOT_FOUND if that file has none; ABORTED and UNAVAILABLE as above.
  absl::StatusOr<uint64_t> ClearOverride(const std::string& share_tag, const OverriddenFile& file,
                                         const SetOptions& options);
  // Publishes a generation without the overrides that have run out at `now`, if there are any. Returns when the next
  // one runs out, if any. Overrides that have run out count no more even before this is called; hence one that the
  // recorder could not keep is left in the list, and this is to be called again after kRecordRetry.
  std::optional<absl::Time> ExpireOverrides(absl::Time now);

  // The last kMaxHistory generations, oldest first; the last one is in force.
  std::vector<PolicyHistoryEntry> History() const;

 private:
  // A generation in the making.
  struct Next {
    PolicyAction action;
    std::shared_ptr<const CompiledPolicy> compiled;
    const PolicySource& source;
    std::string change;
    const Policy* file_policy = nullptr;
  };

  absl::Status CheckExpected(const SetOptions& options) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);
  absl::StatusOr<Next> PrepareSet(Policy policy, const SetOptions& options) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);
  absl::StatusOr<Next> PrepareSetOverride(Override override, const SetOptions& options) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);
  absl::StatusOr<Next> PrepareClearOverride(const std::string& share_tag, const OverriddenFile& file,
                                            const SetOptions& options) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);
  // Records and publishes, or tells the recorder what was refused.
  absl::StatusOr<uint64_t> Finish(absl::StatusOr<Next> next, PolicyAction action, const PolicySource& source,
                                  std::string wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);
  absl::StatusOr<uint64_t> Publish(Next next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);
  absl::Status Record(const PolicySnapshot& next, const Policy* file_policy,
                      const std::vector<PolicyHistoryEntry>& history) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mu_);

  std::function<void(const PolicyHistoryEntry&)> observer_;
  const uint64_t id_;     // of no other store, before or after
  const uint64_t nonce_;  // random, for EtagOf
  // Held across a whole change, compiling included; taken before mu_.
  mutable Mutex change_mu_;
  PolicyRecorder* recorder_ ABSL_GUARDED_BY(change_mu_) = nullptr;
  uint64_t last_used_ ABSL_GUARDED_BY(change_mu_) = 0;  // the highest number that may have been seen anywhere
  const Policy* start_file_policy_ ABSL_GUARDED_BY(change_mu_) = nullptr;  // until StartRecording
  mutable Mutex mu_;
  std::shared_ptr<const PolicySnapshot> current_ ABSL_GUARDED_BY(mu_);  // changes only with change_mu_ held too
  std::deque<PolicyHistoryEntry> history_ ABSL_GUARDED_BY(mu_);
  std::string watched_file_ ABSL_GUARDED_BY(mu_);
  // In front of the mutex, so that whoever only asks for the generation takes no lock.
  std::atomic<uint64_t> generation_{0};
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_STORE_H_
