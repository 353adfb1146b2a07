#include "control/testing/fake_controller.h"

#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "base/status.h"
#include "control/file_query.h"
#include "control/machine_state.h"

namespace daxvmm::control {
namespace {

template <typename T>
std::vector<T> Select(const std::vector<T>& all, const std::string& tag) {
  std::vector<T> selected;
  for (const T& one : all) {
    if (tag.empty() || one.share_tag == tag) selected.push_back(one);
  }
  return selected;
}

dax::PolicyStore::SetOptions ToStore(const PolicySetOptions& options) {
  return {.source = {.kind = dax::SourceKind::kRequest, .detail = options.requester},
          .expected_generation = options.expected_generation,
          .expected_etag = options.expected_etag,
          .force = options.force,
          .parts = options.parts};
}

dax::OverriddenFile ToStore(const FileRef& file) {
  if (const uint64_t* node = std::get_if<uint64_t>(&file.file)) return NodeId(*node);
  return std::get<std::string>(file.file);
}

}  // namespace

absl::StatusOr<PolicyChange> FakeController::Changed(const absl::StatusOr<uint64_t>& generation) const {
  if (!generation.ok()) return generation.status();
  return PolicyChange{
      .generation = *generation, .etag = store_.EtagOf(*generation), .attribute_timeout = absl::Seconds(1)};
}

absl::Status FakeController::CheckShare(const std::string& tag) const {
  for (const WindowUse& share : windows) {
    if (tag.empty() || share.share_tag == tag) return absl::OkStatus();
  }
  return WithReason(absl::NotFoundError(absl::StrCat("share: there is none with the tag \"", tag, "\"")),
                    "SHARE_NOT_FOUND", {{"share", tag}});
}

PolicyState FakeController::GetPolicy() const {
  const auto snapshot = store_.Get();
  MutexLock lock(&mu_);
  return {.generation = snapshot->generation,
          .policy = snapshot->compiled->policy(),
          .overrides = snapshot->compiled->overrides(),
          .source = snapshot->source,
          .since = snapshot->since,
          .watched_file = store_.watched_file(),
          .watched_file_error = file_error_,
          .etag = store_.EtagOf(snapshot->generation)};
}

absl::StatusOr<PolicyChange> FakeController::SetPolicy(const dax::Policy& policy, const PolicySetOptions& options) {
  return Changed(store_.Set(policy, ToStore(options)));
}

absl::StatusOr<PolicyChange> FakeController::SetOverride(const dax::Override& override,
                                                         const PolicySetOptions& options) {
  RETURN_IF_ERROR(CheckShare(override.share_tag));
  return Changed(store_.SetOverride(override, ToStore(options)));
}

absl::StatusOr<PolicyChange> FakeController::ClearOverride(const FileRef& file, const PolicySetOptions& options) {
  return Changed(store_.ClearOverride(file.share_tag, ToStore(file), ToStore(options)));
}

std::vector<dax::PolicyHistoryEntry> FakeController::PolicyHistory() const { return store_.History(); }

absl::StatusOr<Explanation> FakeController::Explain(const FileRef& file) const {
  RETURN_IF_ERROR(CheckShare(file.share_tag));
  for (const LiveFile& one : files) {
    const bool named = file.file.index() == 0 ? std::get<uint64_t>(file.file) == one.node_id
                                              : std::get<std::string>(file.file) == one.path;
    if (one.share_tag != file.share_tag || !named) continue;
    return Explanation{.share_tag = one.share_tag,
                       .path = one.path,
                       .node_id = one.node_id,
                       .live = true,
                       .facts = {{"path", one.path}, {"size", absl::StrCat(one.size.raw())}},
                       .steps = {{one.decision_rule, true, "no condition"}},
                       .dax = one.decision_dax,
                       .rule = one.decision_rule,
                       .generation = store_.generation(),
                       .told_dax = one.told_dax,
                       .told_generation = one.told_generation,
                       .convergence = one.convergence,
                       .attributes_left = one.attributes_left,
                       .open = one.open,
                       .mapped_chunks = one.mapped_chunks,
                       .setup_mappings = one.setup_mappings,
                       .unmaps = one.unmaps,
                       .reads = one.reads,
                       .writes = one.writes,
                       .mapped_against_policy = one.mapped_against_policy,
                       .mount_mode = MountMode::kPerFile};
  }
  return WithReason(absl::NotFoundError("file: there is none of that name"), "FILE_NOT_FOUND",
                    {{"share", file.share_tag}});
}

absl::StatusOr<std::vector<LiveFile>> FakeController::ListFiles(const std::string& share_tag) const {
  RETURN_IF_ERROR(CheckShare(share_tag));
  return Select(files, share_tag);
}

absl::StatusOr<FilePage> FakeController::QueryFiles(const FileQuery& query) const {
  if (policy_changes_during_list.load() > 0) {
    policy_changes_during_list.fetch_sub(1);
    if (auto set = store_.Set(store_.Get()->compiled->policy()); !set.ok()) return set.status();
  }
  RETURN_IF_ERROR(CheckShare(query.share_tag));
  FileSelector selector(query);
  for (const LiveFile& file : files) {
    const auto path = [&file] { return file.path; };
    selector.Look(GlanceOf(file, path));
  }
  return MakePage(query, &selector, [this](const FileQuery::Place& place) -> std::optional<LiveFile> {
    for (const LiveFile& file : files) {
      if (file.share_tag == place.share_tag && file.node_id == place.node_id) return file;
    }
    return std::nullopt;
  });
}

absl::StatusOr<ConvergenceCounts> FakeController::GetConvergence(const std::string& share_tag) const {
  RETURN_IF_ERROR(CheckShare(share_tag));
  ++times_counted;
  MutexLock lock(&mu_);
  ConvergenceCounts counts = counts_;
  counts.generation = store_.generation();
  return counts;
}

absl::StatusOr<std::vector<WindowUse>> FakeController::GetWindows(const std::string& share_tag) const {
  RETURN_IF_ERROR(CheckShare(share_tag));
  return Select(windows, share_tag);
}

absl::StatusOr<PolicyPreview> FakeController::PreviewPolicy(const dax::Policy& policy, const PolicySetOptions& options,
                                                            size_t limit) const {
  RETURN_IF_ERROR(store_.WouldSet(policy, ToStore(options)).status());
  PolicyPreview some = preview;
  ASSIGN_OR_RETURN(some.in_force, Changed(store_.generation()));
  if (some.files.size() > limit) some.files.resize(limit);
  return some;
}

absl::StatusOr<MappingPage> FakeController::QueryMappings(const MappingQuery& query) const {
  RETURN_IF_ERROR(CheckShare(query.share_tag));
  MappingPage page;
  for (const WindowMapping& mapping : Select(mappings, query.share_tag)) {
    if (query.file.has_value()) {
      const auto* const node = std::get_if<uint64_t>(&*query.file);
      if (node != nullptr ? *node != mapping.node_id : std::get<std::string>(*query.file) != mapping.path) continue;
    }
    ++page.total;
    if (query.after && std::tie(mapping.share_tag, mapping.at) <= std::tie(query.after->share_tag, query.after->at)) {
      continue;
    }
    page.more = page.mappings.size() >= query.limit;
    if (!page.more) page.mappings.push_back(mapping);
  }
  if (query.file.has_value() && page.total == 0) {
    return WithReason(absl::NotFoundError("file: there is none of that name"), "FILE_NOT_FOUND",
                      {{"share", query.share_tag}});
  }
  return page;
}

MachineInfo FakeController::GetMachine() const {
  MutexLock lock(&mu_);
  return machine;
}

absl::Status FakeController::StartMachine() {
  MutexLock lock(&mu_);
  RETURN_IF_ERROR(CheckMay(MachineCommand::kStart, machine.state));
  machine.state = MachineState::kRunning;
  machine.started = absl::Now();
  events_.Append(EventKind::kStarted, "");
  return absl::OkStatus();
}

absl::Status FakeController::PauseMachine() {
  MutexLock lock(&mu_);
  RETURN_IF_ERROR(pause_failure_);
  RETURN_IF_ERROR(CheckMay(MachineCommand::kPause, machine.state));
  if (machine.state == MachineState::kPaused) return absl::OkStatus();
  machine.state = MachineState::kPaused;
  events_.Append(EventKind::kPaused, "");
  return absl::OkStatus();
}

absl::Status FakeController::ResumeMachine() {
  MutexLock lock(&mu_);
  RETURN_IF_ERROR(CheckMay(MachineCommand::kResume, machine.state));
  if (machine.state == MachineState::kRunning) return absl::OkStatus();
  machine.state = MachineState::kRunning;
  events_.Append(EventKind::kResumed, "");
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> FakeController::ShutdownMachine(const ShutdownOptions& options) {
  {
    MutexLock lock(&mu_);
    RETURN_IF_ERROR(CheckMay(MachineCommand::kShutdown, machine.state));
    if (!options.force && machine.state != MachineState::kCreated) {
      machine.state = MachineState::kShuttingDown;
      machine.force_at = absl::Now() + options.timeout.value_or(absl::Seconds(30));
      events_.Append(EventKind::kShutdownRequested, options.requester);
      return *machine.force_at;
    }
  }
  EndMachine(EventKind::kStopped, absl::StrCat("ended by ", options.requester));
  return absl::Now();
}

void FakeController::EndMachine(EventKind how, const std::string& why) {
  MutexLock lock(&mu_);
  machine.state = MachineState::kEnded;
  machine.end_reason = why;
  machine.force_at.reset();
  events_.Append(how, why);
  console_.Close();
}

void FakeController::FailPause(const absl::Status& status) {
  MutexLock lock(&mu_);
  pause_failure_ = status;
}

MetricsSnapshot FakeController::GetMetrics() const {
  MetricsSnapshot snapshot = metrics;
  MutexLock lock(&mu_);
  if (call_counts_ != nullptr) snapshot.control_calls = call_counts_->CallCounts();
  return snapshot;
}

void FakeController::SetCallCounts(const ControlCallCounts* counts) {
  MutexLock lock(&mu_);
  call_counts_ = counts;
}

void FakeController::SetCounts(const ConvergenceCounts& counts) {
  MutexLock lock(&mu_);
  counts_ = counts;
}

void FakeController::WatchFile(const std::string& path, std::optional<PolicyFileError> error) {
  store_.SetWatchedFile(path);
  MutexLock lock(&mu_);
  file_error_ = std::move(error);
}

absl::StatusOr<uint64_t> FakeController::SetFromFile(const dax::Policy& policy) {
  return store_.Set(policy, {.source = {.kind = dax::SourceKind::kFile, .detail = store_.watched_file()}});
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
       .told_dax = true,
       .told_generation = 1,
       .convergence = Convergence::kAttributesCached,
       .attributes_left = absl::Milliseconds(400),
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
       .dropped_stores = 0,
       .total_chunks = 32,
       .reclaim_threshold_chunks = 6},
      {.share_tag = "src"},
  };
  machine.state = MachineState::kRunning;
  machine.cpus = 2;
  machine.memory = MiB(512);
  machine.shares = {
      {.tag = "data", .path = "/srv/data", .read_only = false, .window = MiB(64), .mount_mode = MountMode::kPerFile},
      {.tag = "src", .path = "/srv/caf\xe9", .read_only = true, .window = ByteCount(0)}};
  machine.created = absl::FromUnixSeconds(1'700'000'000);
  machine.started = machine.created + absl::Milliseconds(250);
}

}  // namespace daxvmm::control
