#include "devices/virtio_fs/dax/inode_states.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/request_counts.h"

namespace daxvmm::dax {
namespace {

// What a refused SETUPMAPPING answers. docs/dax.md says what that does in the guest, and why it is no other: EACCES
// would have execvp(3) go on to another program of the same name.
constexpr fuse::Errno kDenied{EPERM};

NewFile NewFileOf(const FileFacts& facts) {
  return {.file = FileIdentity(facts.identity), .size = facts.size, .huge_pages = facts.huge_pages};
}

// The counts with what the record says of the file.
FileSample SampleOf(fuse::ObservedInode inode, FileSample counts) {
  const InodeRecord& record = RecordIn(inode.slot);
  counts.file = FileIdentity(inode.identity);
  counts.size = ByteCount(record.size);
  counts.huge_pages = record.huge_pages;
  counts.dax = record.adaptive == Known::kYes;
  return counts;
}

// For a file that is not live: no override by node is of it.
constexpr NodeId kNoNode{};

int64_t Nanoseconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

int64_t SentAfter(const fuse::RequestContext& ctx) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(ctx.sent_after.time_since_epoch()).count();
}

// Where a file's rule class is remembered: the class, how often the file was renamed, and what else the class follows
// from: the policy's generation plus the number of renamed directories. Both only grow, so that no sum comes twice.
class Placed {
 public:
  explicit Placed(uint64_t word) : word_(word) {}
  Placed(RuleClass rule_class, uint16_t renames, uint32_t stamp)
      : word_(uint64_t{rule_class.raw()} << 48 | uint64_t{renames} << 32 | stamp) {}

  RuleClass rule_class() const { return RuleClass(static_cast<uint16_t>(word_ >> 48)); }
  uint16_t renames() const { return static_cast<uint16_t>(word_ >> 32); }
  bool HoldsAt(uint32_t stamp) const {
    return static_cast<uint32_t>(word_) == stamp && rule_class() != RuleClass::kNone &&
           rule_class() != RuleClass::kUncached;
  }
  uint64_t word() const { return word_; }

 private:
  uint64_t word_;
};

}  // namespace

InodeStates::InodeStates(InodeStatesOptions options, const PolicyStore* policy, Window* window)
    : options_(std::move(options)), policy_(policy), window_(window) {}

int64_t InodeStates::Now() const { return options_.clock ? options_.clock() : Nanoseconds(CLOCK_MONOTONIC); }

// The coarse clock is enough for time-outs, and costs a quarter of the other.
uint32_t InodeStates::NowMilliseconds() const {
  return static_cast<uint32_t>((options_.clock ? options_.clock() : Nanoseconds(CLOCK_MONOTONIC_COARSE)) / 1'000'000);
}

InodeRecord InodeStates::Copy(fuse::ObservedInode inode) const {
  MutexLock lock(&ShardOf(inode.node).mu);
  return RecordIn(inode.slot);
}

Placement InodeStates::PlacementOf(NodeId node, const FileFacts& facts) const {
  return {.share_tag = options_.share_tag, .read_only_share = options_.read_only, .node = node, .path = facts.path};
}

RuleClass InodeStates::ClassOf(const PolicySnapshot& policy, fuse::ObservedInode inode,
                               absl::FunctionRef<std::optional<std::string>()> path) const {
  const std::atomic_ref<uint64_t> placement = PlacementIn(inode.slot);
  // Before the path is asked for: a rename that comes in between leaves a stamp, or a count, that does not hold.
  const uint32_t stamp = static_cast<uint32_t>(policy.generation) + directory_renames_.load(std::memory_order_acquire);
  uint64_t known = placement.load(std::memory_order_acquire);
  if (Placed(known).HoldsAt(stamp)) return Placed(known).rule_class();
  const RuleClass found = policy.compiled->Classify(PlacementOf(inode.node, FileFacts{.path = path}));
  placement.compare_exchange_strong(known, Placed(found, Placed(known).renames(), stamp).word(),
                                    std::memory_order_acq_rel);
  return found;
}

bool InodeStates::quota_reached() const {
  if (options_.quota_chunks == 0 || window_ == nullptr) return false;
  const uint64_t used = window_->mapped_chunks_now();
  // An eighth has to come free before files become DAX again: at the very edge, each chunk would change the answer.
  if (used >= options_.quota_chunks) quota_reached_.store(true, std::memory_order_relaxed);
  if (used < options_.quota_chunks - options_.quota_chunks / 8) quota_reached_.store(false, std::memory_order_relaxed);
  return quota_reached_.load(std::memory_order_relaxed);
}

bool InodeStates::AdaptiveVerdict(fuse::ObservedInode inode, const FileFacts& facts) const {
  Shard& shard = ShardOf(inode.node);
  {
    MutexLock lock(&shard.mu);
    const Known known = RecordIn(inode.slot).adaptive;
    if (known != Known::kNotYet) return known == Known::kYes;
  }
  if (adaptive_ == nullptr) return false;
  const bool verdict = adaptive_->Admit(
      inode.node, {.file = FileIdentity(inode.identity), .size = facts.size, .huge_pages = facts.huge_pages});
  MutexLock lock(&shard.mu);
  InodeRecord& record = RecordIn(inode.slot);
  if (record.adaptive == Known::kNotYet) record.adaptive = KnownAs(verdict);
  return record.adaptive == Known::kYes;
}

bool InodeStates::HasRoomFor(fuse::ObservedInode inode) const {
  // The quota is for files to come: what the guest holds as DAX stays so.
  return !quota_reached() || Copy(inode).told().value_or(true);
}

Decision InodeStates::DecideFor(const PolicySnapshot& policy, fuse::ObservedInode inode, const FileFacts& facts,
                                Asked* asked) const {
  const auto adaptive = [&] { return AdaptiveVerdict(inode, facts); };
  return DecideBy(policy, ClassOf(policy, inode, facts.path), facts, HasRoomFor(inode), adaptive, asked);
}

Decision InodeStates::DecideBy(const PolicySnapshot& policy, RuleClass rule_class, const FileFacts& facts, bool room,
                               absl::FunctionRef<bool()> adaptive, Asked* asked) const {
  const auto dax_hint = [&] {
    asked->dax_hint = facts.dax_hint();
    return *asked->dax_hint;
  };
  const auto security_capability = [&] {
    asked->security_capability = facts.security_capability();
    return *asked->security_capability;
  };
  return policy.compiled->Decide(rule_class, Facts{.regular_file = S_ISREG(facts.mode),
                                                   .mode = facts.mode,
                                                   .size = facts.size,
                                                   .uid = facts.uid,
                                                   .gid = facts.gid,
                                                   .huge_pages = facts.huge_pages,
                                                   .window_has_room = room,
                                                   .dax_hint = dax_hint,
                                                   .security_capability = security_capability,
                                                   .adaptive = adaptive});
}

Decision InodeStates::DecideRecorded(const PolicySnapshot& policy, fuse::ObservedInode inode, const InodeRecord& record,
                                     const Unrecorded& unrecorded) const {
  const auto dax_hint = [&] {
    return record.dax_hint == Known::kNotYet ? unrecorded.dax_hint() : record.dax_hint == Known::kYes;
  };
  // Not asked for: few files have capabilities, and the next reply looks.
  const auto security_capability = [&] { return record.security_capability == Known::kYes; };
  Asked asked;
  return DecideFor(policy, inode,
                   FileFacts{.mode = record.mode,
                             .size = ByteCount(record.size),
                             .uid = record.uid,
                             .gid = record.gid,
                             .huge_pages = record.huge_pages,
                             .dax_hint = dax_hint,
                             .security_capability = security_capability,
                             .path = unrecorded.path},
                   &asked);
}

uint32_t InodeStates::AttrFlags(const fuse::RequestContext& ctx, fuse::ObservedInode inode,
                                const fuse::InodeFacts& facts, fuse::AttrReply reply) {
  // Nothing but a regular file can be DAX or mapped: no record, and no flag whatever a policy says.
  if (!S_ISREG(facts.mode)) return 0;
  const SessionMode mode = mode_.load(std::memory_order_acquire);
  const PolicySnapshot& policy = policy_->Current();
  Asked asked;
  bool dax = false;
  // Where nothing is mapped no answer would say it, so nothing is asked of the host either.
  if (mode == SessionMode::kPerFile || mode == SessionMode::kAlways) {
    const Decision decision = DecideFor(policy, inode,
                                        FileFacts{.mode = facts.mode,
                                                  .size = facts.size,
                                                  .uid = facts.uid,
                                                  .gid = facts.gid,
                                                  .huge_pages = facts.huge_pages,
                                                  .dax_hint = facts.dax_hint,
                                                  .security_capability = facts.security_capability,
                                                  .path = facts.path},
                                        &asked);
    dax = decision.dax;
    if (ctx.counts != nullptr) {
      const CompiledPolicy& compiled = *policy.compiled;
      ctx.counts->Concluded(compiled.rules_id(), compiled.decision_kinds(), compiled.KindOf(decision));
    }
  }
  {
    MutexLock lock(&ShardOf(inode.node).mu);
    InodeRecord& record = RecordIn(inode.slot);
    record.size = facts.size.raw();
    record.mode = static_cast<uint16_t>(facts.mode);
    record.uid = facts.uid;
    record.gid = facts.gid;
    record.huge_pages = facts.huge_pages;
    record.attributes_at = NowMilliseconds();
    if (asked.dax_hint) record.dax_hint = KnownAs(*asked.dax_hint);
    if (asked.security_capability) record.security_capability = KnownAs(*asked.security_capability);
    switch (reply) {
      case fuse::AttrReply::kEntry:
        record.EntryReply(dax, static_cast<uint32_t>(policy.generation), Now(), SentAfter(ctx));
        break;
      case fuse::AttrReply::kGetAttr:
        record.AttrReply(dax);
        break;
      case fuse::AttrReply::kSetAttr:
        break;
    }
  }
  if (window_ != nullptr) window_->FileSizeSeen(inode.node, facts.size);
  return dax && mode == SessionMode::kPerFile ? FUSE_ATTR_DAX : 0;
}

void InodeStates::Undelivered(fuse::ObservedInode inode) {
  MutexLock lock(&ShardOf(inode.node).mu);
  RecordIn(inode.slot).Undelivered();
}

void InodeStates::Forgotten(fuse::ObservedInode inode, uint64_t count, bool last) {
  std::optional<FileSample> sample;
  {
    Shard& shard = ShardOf(inode.node);
    MutexLock lock(&shard.mu);
    InodeRecord& record = RecordIn(inode.slot);
    record.Forgot(count, last ? 0 : Now());
    record.gone = last;
    if (last && record.adaptive != Known::kNotYet) {
      const auto counted = shard.counted.find(inode.node);
      sample = SampleOf(inode, counted != shard.counted.end() ? counted->second.sample : FileSample());
      if (counted != shard.counted.end()) shard.counted.erase(counted);
    }
  }
  if (sample.has_value() && adaptive_ != nullptr) adaptive_->Forgotten(inode.node, *sample);
}

void InodeStates::Grew(fuse::ObservedInode inode, ByteCount size) {
  {
    MutexLock lock(&ShardOf(inode.node).mu);
    RecordIn(inode.slot).size = size.raw();
  }
  if (window_ != nullptr) window_->FileSizeSeen(inode.node, size);
}

InodeStates::Counted* InodeStates::CountsOf(Shard& shard, fuse::ObservedInode inode) {
  InodeRecord& record = RecordIn(inode.slot);
  // What came after the last FORGET nobody would take out again.
  if (record.adaptive == Known::kNotYet || record.gone) return nullptr;
  auto found = shard.counted.find(inode.node);
  if (found == shard.counted.end()) {
    if (shard.counted.size() >= kMaxCounted / kShards) return nullptr;
    found = shard.counted.try_emplace(inode.node).first;
  }
  Counted& counts = found->second;
  counts.sample = SampleOf(inode, counts.sample);
  // A guest that forgets what it has read leaves its ids in the list until it is taken.
  if (!counts.active && shard.active.size() < kMaxCounted / kShards) {
    shard.active.push_back(inode.node);
    counts.active = true;
  }
  return &counts;
}

void InodeStates::Read(fuse::ObservedInode inode, FileOffset offset, ByteCount size) {
  Shard& shard = ShardOf(inode.node);
  MutexLock lock(&shard.mu);
  InodeRecord& record = RecordIn(inode.slot);
  // An inode made as DAX never sends FUSE_READ for what is inside the file (fuse_file_read_iter, 6.1).
  if (mode_.load(std::memory_order_relaxed) == SessionMode::kPerFile && offset.raw() < record.size) {
    record.Evidence(false);
  }
  if (Counted* const counts = CountsOf(shard, inode); counts != nullptr) {
    ++counts->sample.reads;
    if (offset.raw() == counts->next_read) ++counts->sample.sequential_reads;
    counts->next_read = offset.raw() + size.raw();
    counts->sample.read_bytes += size.raw();
  }
}

void InodeStates::Write(fuse::ObservedInode inode, FileOffset /*offset*/, ByteCount size) {
  Shard& shard = ShardOf(inode.node);
  MutexLock lock(&shard.mu);
  if (Counted* const counts = CountsOf(shard, inode); counts != nullptr) {
    ++counts->sample.writes;
    counts->sample.write_bytes += size.raw();
  }
}

void InodeStates::Closed(fuse::ObservedInode inode) {
  Shard& shard = ShardOf(inode.node);
  MutexLock lock(&shard.mu);
  (void)CountsOf(shard, inode);  // it is active: how it is open has changed
}

void InodeStates::Renamed(fuse::ObservedInode inode, bool directory) {
  if (directory) directory_renames_.fetch_add(1, std::memory_order_release);
  // Not the class alone: one that is being found under the old path must not be stored after this.
  const std::atomic_ref<uint64_t> placement = PlacementIn(inode.slot);
  uint64_t known = placement.load(std::memory_order_relaxed);
  while (!placement.compare_exchange_weak(
      known, Placed(RuleClass::kNone, static_cast<uint16_t>(Placed(known).renames() + 1), 0).word(),
      std::memory_order_acq_rel)) {
  }
}

fuse::Errno InodeStates::PermitSetup(fuse::ObservedInode inode, const Unrecorded& unrecorded) {
  const bool per_file = mode_.load(std::memory_order_acquire) == SessionMode::kPerFile;
  InodeRecord copy;
  {
    MutexLock lock(&ShardOf(inode.node).mu);
    InodeRecord& record = RecordIn(inode.slot);
    if (per_file) record.Evidence(true);
    copy = record;
  }
  if (copy.told().value_or(true)) return fuse::kOk;
  const PolicySnapshot& policy = policy_->Current();
  if (DecideRecorded(policy, inode, copy, unrecorded).dax) return fuse::kOk;
  {
    MutexLock lock(&ShardOf(inode.node).mu);
    InodeRecord& record = RecordIn(inode.slot);
    if (record.against_policy != std::numeric_limits<uint16_t>::max()) ++record.against_policy;
  }
  if (policy.compiled->policy().enforcement == Enforcement::kAdvisory) {
    mapped_against_policy_.fetch_add(1, std::memory_order_relaxed);
    return fuse::kOk;
  }
  denied_.fetch_add(1, std::memory_order_relaxed);
  return kDenied;
}

SetupContext InodeStates::ContextOf(fuse::ObservedInode inode) const {
  return {.told_size = ByteCount(Copy(inode).size), .policy_generation = policy_->generation()};
}

void InodeStates::NoteSetup(fuse::ObservedInode inode, const fuse_setupmapping_in& in) {
  ByteCount told_size;
  bool counted = false;
  {
    Shard& shard = ShardOf(inode.node);
    MutexLock lock(&shard.mu);
    InodeRecord& record = RecordIn(inode.slot);
    ++record.setup_mappings;
    told_size = ByteCount(record.size);
    if (Counted* const counts = CountsOf(shard, inode); counts != nullptr) {
      const uint64_t chunk = in.foffset / kDaxRangeSize.raw();
      ++counts->sample.setups;
      if (chunk == counts->next_chunk || chunk == 0) ++counts->sample.sequential_setups;
      if ((in.flags & FUSE_SETUPMAPPING_FLAG_WRITE) != 0) ++counts->sample.write_setups;
      counts->next_chunk = chunk + 1;
      counted = true;
    }
  }
  if (counted && adaptive_ != nullptr) adaptive_->Mapped();
  if (window_ != nullptr) window_->FileSizeSeen(inode.node, told_size);
}

void InodeStates::SetAdaptiveVerdict(fuse::ObservedInode inode, bool dax) {
  MutexLock lock(&ShardOf(inode.node).mu);
  InodeRecord& record = RecordIn(inode.slot);
  if (record.adaptive != Known::kNotYet) record.adaptive = KnownAs(dax);
}

std::vector<InodeStates::Active> InodeStates::TakeActive() {
  std::vector<Active> all;
  for (Shard& shard : shards_) {
    MutexLock lock(&shard.mu);
    for (const NodeId node : shard.active) {
      const auto counted = shard.counted.find(node);
      if (counted == shard.counted.end()) continue;  // forgotten meanwhile
      counted->second.active = false;
      all.push_back({node, counted->second.sample});
    }
    shard.active.clear();
  }
  return all;
}

ConvergenceState InodeStates::Converged(const InodeRecord& record, bool dax, bool open) const {
  // By another mount option the guest does not go by what it is told.
  if (mode_.load(std::memory_order_acquire) != SessionMode::kPerFile) return {};
  const std::optional<bool> told = record.told();
  if (!told.has_value()) return {.what = Convergence::kUnknown};
  if (*told == dax) return {};
  if (record.last_seen() == dax) {
    return {.what = open ? Convergence::kNoticedHeldOpen : Convergence::kNoticedStillHeld};
  }
  const std::chrono::milliseconds since(static_cast<uint32_t>(NowMilliseconds() - record.attributes_at));
  if (since >= options_.attribute_timeout) return {.what = Convergence::kChangesOnNextUse};
  return {.what = Convergence::kAttributesCached,
          .attributes_left = absl::FromChrono(options_.attribute_timeout - since)};
}

std::optional<bool> InodeStates::ToldDax(const InodeRecord& record) const {
  return mode_.load(std::memory_order_acquire) == SessionMode::kPerFile ? record.told() : false;
}

PolicyAnswer InodeStates::AnswerOf(const PolicySnapshot& policy, const Decision& decision) {
  return {.dax = decision.dax,
          .overridden = decision.rule == kOverrideRule,
          .adaptive = decision.outcome == Outcome::kAdaptive,
          .rule = std::string(policy.compiled->RuleName(decision)),
          .generation = policy.generation};
}

InodeReport InodeStates::Report(fuse::ObservedInode inode, const FileFacts& facts, bool open) const {
  const PolicySnapshot& policy = policy_->Current();
  const InodeRecord record = Copy(inode);
  Asked asked;
  const Decision decision = DecideFor(policy, inode, facts, &asked);
  InodeReport report;
  report.policy = AnswerOf(policy, decision);
  if (decision.outcome == Outcome::kAdaptive && adaptive_ != nullptr) {
    report.policy.reason = adaptive_->Reason(FileIdentity(inode.identity));
  }
  report.told_dax = ToldDax(record);
  report.told_generation = record.generation();
  report.convergence = Converged(record, decision.dax, open);
  report.setup_mappings = record.setup_mappings;
  report.against_policy = record.against_policy;
  return report;
}

PolicyAnswer InodeStates::Answer(const FileFacts& facts) const {
  const PolicySnapshot& policy = policy_->Current();
  const auto adaptive = [&] { return adaptive_ != nullptr && adaptive_->WouldAdmit(NewFileOf(facts)); };
  Asked asked;
  return AnswerOf(policy, DecideBy(policy, policy.compiled->Classify(PlacementOf(kNoNode, facts)), facts,
                                   !quota_reached(), adaptive, &asked));
}

std::vector<CompiledPolicy::Step> InodeStates::Explain(const fuse::ObservedInode* inode, const FileFacts& facts) const {
  const PolicySnapshot& policy = policy_->Current();
  const auto adaptive = [&] {
    if (inode != nullptr) return AdaptiveVerdict(*inode, facts);
    return adaptive_ != nullptr && adaptive_->WouldAdmit(NewFileOf(facts));
  };
  return policy.compiled->Explain(PlacementOf(inode != nullptr ? inode->node : kNoNode, facts),
                                  Facts{.regular_file = S_ISREG(facts.mode),
                                        .mode = facts.mode,
                                        .size = facts.size,
                                        .uid = facts.uid,
                                        .gid = facts.gid,
                                        .huge_pages = facts.huge_pages,
                                        .window_has_room = inode != nullptr ? HasRoomFor(*inode) : !quota_reached(),
                                        .dax_hint = facts.dax_hint,
                                        .security_capability = facts.security_capability,
                                        .adaptive = adaptive});
}

ConvergenceState InodeStates::StateOf(fuse::ObservedInode inode, const Unrecorded& unrecorded, bool open) {
  if (mode_.load(std::memory_order_acquire) != SessionMode::kPerFile) return {};
  const InodeRecord record = Copy(inode);
  return Converged(record, DecideRecorded(policy_->Current(), inode, record, unrecorded).dax, open);
}

InodeGlance InodeStates::Glance(fuse::ObservedInode inode, const Unrecorded& unrecorded, bool open) const {
  const InodeRecord record = Copy(inode);
  const Decision decision = DecideRecorded(policy_->Current(), inode, record, unrecorded);
  return {.dax = decision.dax,
          .overridden = decision.rule == kOverrideRule,
          .told_dax = ToldDax(record),
          .convergence = Converged(record, decision.dax, open),
          .size = ByteCount(record.size),
          .setup_mappings = record.setup_mappings};
}

PolicyComparison InodeStates::Compare(const PolicySnapshot& candidate, fuse::ObservedInode inode,
                                      const Unrecorded& unrecorded) const {
  const InodeRecord record = Copy(inode);
  const bool room = HasRoomFor(inode);
  const auto known_or = [](Known known, absl::FunctionRef<bool()> ask) {
    return known == Known::kNotYet ? ask() : known == Known::kYes;
  };
  const auto dax_hint = [&] { return known_or(record.dax_hint, unrecorded.dax_hint); };
  // Asked for, unlike for counts: a policy under which no file was DAX had no need to know.
  const auto security_capability = [&] { return known_or(record.security_capability, unrecorded.security_capability); };
  const FileFacts facts = {.mode = record.mode,
                           .size = ByteCount(record.size),
                           .uid = record.uid,
                           .gid = record.gid,
                           .huge_pages = record.huge_pages,
                           .identity = inode.identity,
                           .dax_hint = dax_hint,
                           .security_capability = security_capability,
                           .path = unrecorded.path};
  const auto adaptive = [&] {
    if (record.adaptive != Known::kNotYet) return record.adaptive == Known::kYes;
    return adaptive_ != nullptr && adaptive_->WouldAdmit(NewFileOf(facts));
  };
  Asked asked;
  const PolicySnapshot& in_force = policy_->Current();
  PolicyComparison comparison;
  comparison.dax = DecideBy(in_force, ClassOf(in_force, inode, facts.path), facts, room, adaptive, &asked).dax;
  // Not by ClassOf, which remembers the class in the inode as one of the policy in force.
  const Decision would_be =
      DecideBy(candidate, candidate.compiled->Classify(PlacementOf(inode.node, facts)), facts, room, adaptive, &asked);
  comparison.would_be_dax = would_be.dax;
  if (comparison.dax != would_be.dax) comparison.rule = std::string(candidate.compiled->RuleName(would_be));
  return comparison;
}

}  // namespace daxvmm::dax
