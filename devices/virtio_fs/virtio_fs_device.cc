#include "devices/virtio_fs/virtio_fs_device.h"

#include <linux/virtio_ids.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "base/log.h"
#include "base/status.h"
#include "devices/virtio_fs/config_space.h"

namespace daxvmm::virtio_fs {
namespace {

constexpr uint32_t kMaxRequestQueues = 64;

absl::Status ValidateOptions(const VirtioFsOptions& options) {
  RETURN_IF_ERROR(ValidateTag(options.tag));
  if (options.num_request_queues < 1 || options.num_request_queues > kMaxRequestQueues) {
    return absl::InvalidArgumentError(absl::StrCat("the number of request queues is not 1 to ", kMaxRequestQueues));
  }
  if (!std::has_single_bit(options.queue_size) || options.queue_size > 32768) {
    return absl::InvalidArgumentError("the queue size is not a power of two up to 32768");
  }
  if (options.window && !options.window->base.IsAlignedTo(kDaxRangeSize)) {
    return absl::InvalidArgumentError("the DAX window's guest address is not a multiple of 2 MiB");
  }
  if (options.dax_quota != ByteCount(0) && !options.window) {
    return absl::InvalidArgumentError("a quota of the DAX window, but no window");
  }
  if (!options.dax_quota.IsMultipleOf(kDaxRangeSize)) {
    return absl::InvalidArgumentError("the quota of the DAX window is not a multiple of 2 MiB");
  }
  return absl::OkStatus();
}

// Linux fills a request up to the ring's size less four descriptors, one page each (fs/fuse/virtio_fs.c).
ByteCount MaxWrite(uint16_t queue_size) {
  const uint64_t pages = queue_size > 4 ? queue_size - 4 : 1;
  return std::min(MiB(1), ByteCount(pages * kPageSize.raw()));
}

dax::SessionMode ToSessionMode(fuse::ClientDaxMode mode) {
  switch (mode) {
    case fuse::ClientDaxMode::kNoSession:
      return dax::SessionMode::kNone;
    case fuse::ClientDaxMode::kNever:
      return dax::SessionMode::kNever;
    case fuse::ClientDaxMode::kAlways:
      return dax::SessionMode::kAlways;
    case fuse::ClientDaxMode::kPerFile:
      return dax::SessionMode::kPerFile;
  }
  return dax::SessionMode::kNone;
}

}  // namespace

// Where the window meets the file system.
class VirtioFsDevice::MappingGlue final : public fuse::MappingHandler {
 public:
  MappingGlue(dax::Window* window, dax::InodeStates* states, fs::PassthroughFs* fs)
      : window_(window), states_(states), fs_(fs) {}

  fuse::Errno SetupMapping(const fuse::RequestContext& ctx, NodeId node, const fuse_setupmapping_in& in) override {
    const fs::InodePtr inode = fs_->FindLive(node);
    if (inode == nullptr) return fuse::Errno(ENOENT);
    const fuse::ObservedInode observed = inode->ForObserver();
    const auto path = [&] { return fs_->PathOf(*inode); };
    const auto dax_hint = [&] { return fs_->PersistentDaxHint(node).value_or(false); };
    fuse::Errno error = states_->PermitSetup(observed, {.path = path, .dax_hint = dax_hint});
    const bool stores = (in.flags & FUSE_SETUPMAPPING_FLAG_WRITE) != 0;
    if (error.ok() && stores) error = fs_->DropPrivilegesBeforeStores(ctx, node);
    if (error.ok()) error = window_->Setup(node, in, *fs_, states_->ContextOf(observed));
    if (error.ok()) states_->NoteSetup(observed, in);
    return error;
  }
  fuse::Errno RemoveMapping(NodeId node, std::span<const fuse_removemapping_one> entries) override {
    return window_->Remove(node, entries);
  }

 private:
  dax::Window* const window_;
  dax::InodeStates* const states_;
  fs::PassthroughFs* const fs_;
};

class VirtioFsDevice::SessionGlue final : public fuse::SessionListener {
 public:
  // `window` may be null.
  SessionGlue(dax::Window* window, dax::InodeStates* states) : window_(window), states_(states) {}

  void SessionStarted(fuse::ClientDaxMode mode) override { states_->SessionStarted(ToSessionMode(mode)); }
  void SessionEnded() override {
    states_->SessionEnded();
    if (window_ != nullptr) window_->Clear();
  }

 private:
  dax::Window* const window_;
  dax::InodeStates* const states_;
};

absl::StatusOr<std::unique_ptr<VirtioFsDevice>> VirtioFsDevice::Create(const VirtioFsOptions& options,
                                                                       const dax::PolicyStore* policy) {
  RETURN_IF_ERROR(ValidateOptions(options));
  std::unique_ptr<dax::Window> window;
  if (options.window) {
    ASSIGN_OR_RETURN(
        window, dax::Window::Create(options.window->window, options.share.read_only, {.repaired = options.repaired}));
  }
  auto device = std::unique_ptr<VirtioFsDevice>(new VirtioFsDevice(options, policy, std::move(window)));
  dax::Window* const raw_window = device->window_.get();
  device->states_ = std::make_unique<dax::InodeStates>(
      dax::InodeStatesOptions{
          .share_tag = options.tag,
          .read_only = options.share.read_only,
          .attribute_timeout = absl::ToChronoMilliseconds(fs::PassthroughFs::LongestTimeout(options.share)),
          .quota_chunks = options.dax_quota.raw() / kDaxRangeSize.raw()},
      policy, raw_window);
  ASSIGN_OR_RETURN(device->fs_, fs::PassthroughFs::Create(options.share, device->states_.get()));
  if (raw_window != nullptr) {
    device->adaptive_ = std::make_unique<AdaptiveDriver>(
        device->states_.get(), raw_window,
        AdaptiveDriver::Inodes{.latch =
                                   [states = device->states_.get(), fs = device->fs_.get()](NodeId node, bool dax) {
                                     const fs::InodePtr inode = fs->FindLive(node);
                                     if (inode != nullptr) states->SetAdaptiveVerdict(inode->ForObserver(), dax);
                                   },
                               .is_open =
                                   [fs = device->fs_.get()](NodeId node) {
                                     const fs::InodePtr inode = fs->FindLive(node);
                                     return inode != nullptr &&
                                            inode->open_handles.load(std::memory_order_relaxed) != 0;
                                   }});
    device->states_->SetAdaptive(device->adaptive_.get());
    device->mapping_glue_ = std::make_unique<MappingGlue>(raw_window, device->states_.get(), device->fs_.get());
  }
  device->session_glue_ = std::make_unique<SessionGlue>(raw_window, device->states_.get());
  device->dispatcher_ = std::make_unique<fuse::Dispatcher>(
      fuse::SessionOptions{.dax_window = raw_window != nullptr, .max_write = MaxWrite(options.queue_size)},
      device->fs_.get(), device->mapping_glue_.get(), device->session_glue_.get());
  for (uint16_t i = 0; i < device->queue_count(); ++i) device->counts_.push_back(device->dispatcher_->AddCounts());
  return device;
}

VirtioFsDevice::VirtioFsDevice(const VirtioFsOptions& options, const dax::PolicyStore* policy,
                               std::unique_ptr<dax::Window> window)
    : options_(options),
      policy_(policy),
      config_(MakeConfigSpace(options.tag, options.num_request_queues)),
      window_(std::move(window)) {}

VirtioFsDevice::~VirtioFsDevice() {
  if (dispatcher_ != nullptr) Reset();
}

uint32_t VirtioFsDevice::device_id() const { return VIRTIO_ID_FS; }

std::optional<virtio::SharedMemoryRegion> VirtioFsDevice::shared_memory(uint8_t id) const {
  if (id != VIRTIO_FS_SHMCAP_ID_CACHE || !options_.window) return std::nullopt;
  return virtio::SharedMemoryRegion{id, options_.window->base, window_->size()};
}

void VirtioFsDevice::ReadConfig(uint64_t offset, std::span<uint8_t> data) const {
  ReadConfigSpace(config_, offset, data);
}

absl::Status VirtioFsDevice::Activate(std::vector<virtio::ActiveQueue> queues, virtio::DriverNotifier* notifier) {
  CHECK(workers_.empty()) << "activated twice";
  for (virtio::ActiveQueue& queue : queues) {
    fuse::RequestCounts* const counts = counts_[queue.index.raw()];
    auto worker =
        QueueWorker::Start(options_.tag, std::move(queue), notifier, counts,
                           [dispatcher = dispatcher_.get(), counts](const memory::IoVecs& in, const memory::IoVecs& out,
                                                                    std::chrono::steady_clock::time_point sent_after) {
                             return dispatcher->Handle(in, out, sent_after, counts);
                           });
    if (!worker.ok()) {
      workers_.clear();
      return worker.status();
    }
    workers_.push_back(*std::move(worker));
  }
  return absl::OkStatus();
}

void VirtioFsDevice::Reset() {
  // All are told before the first is waited for.
  for (const auto& worker : workers_) worker->Stop();
  workers_.clear();
  dispatcher_->Reset();
}

std::vector<uint64_t> VirtioFsDevice::DecisionCounts(const dax::CompiledPolicy& compiled) const {
  std::vector<uint64_t> sums(compiled.decision_kinds());
  dispatcher_->AddConclusions(compiled.rules_id(), sums);
  return sums;
}

std::optional<GuestPhysAddr> VirtioFsDevice::window_base() const {
  return options_.window ? std::optional(options_.window->base) : std::nullopt;
}

dax::FileFacts VirtioFsDevice::FactsOf(const fs::LiveNode& node, absl::FunctionRef<bool()> dax_hint,
                                       absl::FunctionRef<bool()> security_capability,
                                       absl::FunctionRef<std::optional<std::string>()> path) {
  return {.mode = node.mode,
          .size = node.size,
          .uid = node.uid,
          .gid = node.gid,
          .huge_pages = node.huge_pages,
          .dax_hint = dax_hint,
          .security_capability = security_capability,
          .path = path};
}

LiveFile VirtioFsDevice::Describe(const fs::LiveNode& node) const {
  const bool open = node.open_handles != 0;
  const auto dax_hint = [&] { return fs_->PersistentDaxHint(node.node).value_or(false); };
  const auto security_capability = [&] { return fs_->HasSecurityCapability(node.node).value_or(false); };
  const auto path = [&] { return fs_->PathOf(*node.inode); };
  return {
      .node = node.node,
      .path = node.path,
      .size = node.size,
      .report = states_->Report(node.inode->ForObserver(), FactsOf(node, dax_hint, security_capability, path), open),
      .open = open,
      .reads = node.reads,
      .writes = node.writes};
}

std::vector<LiveFile> VirtioFsDevice::ListFiles() const {
  dax::NodeWindowUseMap uses;
  if (window_ != nullptr) uses = window_->UseByNode();
  std::vector<LiveFile> files;
  for (const fs::LiveNode& node : fs_->ListLiveNodes()) {
    if (!S_ISREG(node.mode)) continue;
    files.push_back(Describe(node));
    const auto use = uses.find(node.node);
    if (use != uses.end()) files.back().use = use->second;
  }
  std::ranges::sort(files, {}, &LiveFile::path);
  return files;
}

dax::ConvergenceCounts VirtioFsDevice::CountConvergence() const {
  // Decisions under a later generation may be among them; the next count then shows that one.
  dax::ConvergenceCounts counts{.generation = policy_->generation()};
  fs_->VisitLiveFiles([&](fs::Inode& inode) {
    const bool open = inode.open_handles.load(std::memory_order_relaxed) != 0;
    const auto path = [&] { return fs_->PathOf(inode); };
    const auto dax_hint = [&] { return fs_->PersistentDaxHint(inode.id()).value_or(false); };
    counts.Add(states_->StateOf(inode.ForObserver(), {.path = path, .dax_hint = dax_hint}, open));
  });
  return counts;
}

void VirtioFsDevice::VisitFiles(absl::FunctionRef<void(const LiveFileGlance&)> visit) const {
  std::unordered_map<NodeId, uint32_t> chunks;
  if (window_ != nullptr) chunks = window_->ChunksByNode();
  fs_->VisitLiveFiles([&](fs::Inode& inode) {
    const bool open = inode.open_handles.load(std::memory_order_relaxed) != 0;
    const auto path = [&] { return fs_->PathOf(inode); };
    const auto shown_path = [&] { return fs_->ShownPathOf(inode); };
    const auto dax_hint = [&] { return fs_->PersistentDaxHint(inode.id()).value_or(false); };
    const auto mapped = chunks.find(inode.id());
    visit({.node = inode.id(),
           .state = states_->Glance(inode.ForObserver(), {.path = path, .dax_hint = dax_hint}, open),
           .open = open,
           .mapped_chunks = mapped != chunks.end() ? mapped->second : 0,
           .reads = inode.reads.load(std::memory_order_relaxed),
           .path = shown_path});
  });
}

std::optional<LiveFile> VirtioFsDevice::FindFile(NodeId node) const {
  const std::optional<fs::LiveNode> live = fs_->FindLiveNode(node);
  if (!live.has_value() || !S_ISREG(live->mode)) return std::nullopt;
  LiveFile file = Describe(*live);
  if (window_ != nullptr) file.use = window_->UseOf(node);
  return file;
}

std::string VirtioFsDevice::PathOf(NodeId node) const {
  const fs::InodePtr inode = fs_->FindLive(node);
  return inode != nullptr ? fs_->ShownPathOf(*inode) : "";
}

std::optional<NodeId> VirtioFsDevice::NodeAt(absl::string_view path) const {
  const std::optional<fs::LiveNode> live = fs_->FindLiveNode(path);
  return live.has_value() ? std::optional(live->node) : std::nullopt;
}

uint64_t VirtioFsDevice::ComparePolicy(const dax::PolicySnapshot& candidate,
                                       absl::FunctionRef<void(const ChangedFile&)> visit) const {
  uint64_t looked_at = 0;
  fs_->VisitLiveFiles([&](fs::Inode& inode) {
    ++looked_at;
    const auto path = [&] { return fs_->PathOf(inode); };
    const auto shown_path = [&] { return fs_->ShownPathOf(inode); };
    const auto dax_hint = [&] { return fs_->PersistentDaxHint(inode.id()).value_or(false); };
    const auto security_capability = [&] { return fs_->HasSecurityCapability(inode.id()).value_or(false); };
    dax::PolicyComparison comparison =
        states_->Compare(candidate, inode.ForObserver(),
                         {.path = path, .dax_hint = dax_hint, .security_capability = security_capability});
    if (comparison.dax == comparison.would_be_dax) return;
    visit({.node = inode.id(),
           .would_be_dax = comparison.would_be_dax,
           .rule = std::move(comparison.rule),
           .path = shown_path});
  });
  return looked_at;
}

FileExplanation VirtioFsDevice::ExplainLive(const fs::LiveNode& node) const {
  FileExplanation out{.path = node.path,
                      .mode = node.mode,
                      .size = node.size,
                      .uid = node.uid,
                      .gid = node.gid,
                      .huge_pages = node.huge_pages};
  const fuse::ObservedInode inode = node.inode->ForObserver();
  const auto path = [&] { return fs_->PathOf(*node.inode); };
  if (S_ISREG(node.mode)) {
    out.dax_hint = fs_->PersistentDaxHint(node.node).value_or(false);
    out.security_capability = fs_->HasSecurityCapability(node.node).value_or(false);
    out.live = Describe(node);
    if (window_ != nullptr) out.live->use = window_->UseOf(node.node);
  }
  const auto dax_hint = [&] { return out.dax_hint; };
  const auto security_capability = [&] { return out.security_capability; };
  const dax::FileFacts facts = FactsOf(node, dax_hint, security_capability, path);
  out.steps = states_->Explain(&inode, facts);
  out.answer = out.live.has_value() ? out.live->report.policy : states_->Answer(facts);
  return out;
}

absl::StatusOr<FileExplanation> VirtioFsDevice::Explain(NodeId node) const {
  const std::optional<fs::LiveNode> live = fs_->FindLiveNode(node);
  if (!live.has_value()) {
    return WithReason(
        absl::NotFoundError(absl::StrCat("the guest holds no node ", node.raw(), " of share '", options_.tag, "'")),
        "FILE_NOT_FOUND", {{"share", options_.tag}});
  }
  return ExplainLive(*live);
}

absl::StatusOr<FileExplanation> VirtioFsDevice::Explain(absl::string_view path) const {
  if (const std::optional<fs::LiveNode> live = fs_->FindLiveNode(path); live.has_value()) return ExplainLive(*live);
  const fuse::Result<fs::PassthroughFs::FileAtPath> found = fs_->LookAtPath(path);
  if (!found.ok()) {
    const absl::Status why = ErrnoStatus(found.error().value(), absl::StrCat("share '", options_.tag, "': ", path));
    return WithReason(absl::NotFoundError(why.message()), "FILE_NOT_FOUND", {{"share", options_.tag}});
  }
  FileExplanation out{.path = std::string(path),
                      .mode = found->node.mode,
                      .size = found->node.size,
                      .uid = found->node.uid,
                      .gid = found->node.gid,
                      .huge_pages = found->node.huge_pages,
                      .dax_hint = found->dax_hint,
                      .security_capability = found->security_capability};
  const auto dax_hint = [&] { return found->dax_hint; };
  const auto security_capability = [&] { return found->security_capability; };
  const auto known_path = [&] { return std::optional(std::string(path)); };
  dax::FileFacts facts = FactsOf(found->node, dax_hint, security_capability, known_path);
  facts.identity = found->identity;
  out.steps = states_->Explain(nullptr, facts);
  out.answer = states_->Answer(facts);
  return out;
}

}  // namespace daxvmm::virtio_fs
