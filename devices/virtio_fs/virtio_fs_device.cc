#include "devices/virtio_fs/virtio_fs_device.h"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
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
  return absl::OkStatus();
}

// Linux fills a request up to the ring's size less four descriptors, one page each (fs/fuse/virtio_fs.c).
ByteCount MaxWrite(uint16_t queue_size) {
  const uint64_t pages = queue_size > 4 ? queue_size - 4 : 1;
  return std::min(MiB(1), ByteCount(pages * kPageSize.raw()));
}

}  // namespace

// Where the window meets the file system.
class VirtioFsDevice::MappingGlue final : public fuse::MappingHandler {
 public:
  MappingGlue(dax::Window* window, dax::InodeStates* states, const dax::PolicyStore* policy, fs::PassthroughFs* fs)
      : window_(window), states_(states), policy_(policy), fs_(fs) {}

  fuse::Errno SetupMapping(const fuse::RequestContext& ctx, NodeId node, const fuse_setupmapping_in& in) override {
    if ((in.flags & FUSE_SETUPMAPPING_FLAG_WRITE) != 0) {
      const fuse::Errno error = fs_->DropPrivilegesBeforeStores(ctx, node);
      if (!error.ok()) return error;
    }
    const fuse::Errno error = window_->Setup(
        node, in, *fs_, {.told_size = states_->ToldSize(node), .policy_generation = policy_->Get()->generation});
    if (!error.ok()) return error;
    // Once more: another reply may have told of growth before the window knew that the node is mapped.
    window_->FileSizeSeen(node, states_->ToldSize(node));
    states_->CountSetupMapping(node);
    return error;
  }
  fuse::Errno RemoveMapping(NodeId node, std::span<const fuse_removemapping_one> entries) override {
    return window_->Remove(node, entries);
  }

 private:
  dax::Window* const window_;
  dax::InodeStates* const states_;
  const dax::PolicyStore* const policy_;
  fs::PassthroughFs* const fs_;
};

class VirtioFsDevice::SessionGlue final : public fuse::SessionListener {
 public:
  // `window` may be null.
  SessionGlue(dax::Window* window, dax::InodeStates* states) : window_(window), states_(states) {}

  void SessionStarted(fuse::ClientDaxMode mode) override {
    states_->SessionStarted(mode == fuse::ClientDaxMode::kPerFile);
  }
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
    ASSIGN_OR_RETURN(window, dax::Window::Create(options.window->window, options.share.read_only));
  }
  auto device = std::unique_ptr<VirtioFsDevice>(new VirtioFsDevice(options, policy, std::move(window)));
  ASSIGN_OR_RETURN(device->fs_, fs::PassthroughFs::Create(options.share, device->states_.get()));
  dax::Window* const raw_window = device->window_.get();
  if (raw_window != nullptr) {
    device->mapping_glue_ = std::make_unique<MappingGlue>(raw_window, device->states_.get(), policy, device->fs_.get());
  }
  device->session_glue_ = std::make_unique<SessionGlue>(raw_window, device->states_.get());
  device->dispatcher_ = std::make_unique<fuse::Dispatcher>(
      fuse::SessionOptions{.dax_window = raw_window != nullptr, .max_write = MaxWrite(options.queue_size)},
      device->fs_.get(), device->mapping_glue_.get(), device->session_glue_.get());
  return device;
}

VirtioFsDevice::VirtioFsDevice(const VirtioFsOptions& options, const dax::PolicyStore* policy,
                               std::unique_ptr<dax::Window> window)
    : options_(options),
      config_(MakeConfigSpace(options.tag, options.num_request_queues)),
      window_(std::move(window)),
      states_(std::make_unique<dax::InodeStates>(options.tag, policy, window_.get())) {}

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
    auto worker =
        QueueWorker::Start(options_.tag, std::move(queue), notifier,
                           [dispatcher = dispatcher_.get()](const memory::IoVecs& in, const memory::IoVecs& out) {
                             return dispatcher->Handle(in, out);
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

std::optional<GuestPhysAddr> VirtioFsDevice::window_base() const {
  return options_.window ? std::optional(options_.window->base) : std::nullopt;
}

std::vector<LiveFile> VirtioFsDevice::ListFiles() const {
  std::unordered_map<NodeId, fs::LiveNode> nodes;
  for (fs::LiveNode& node : fs_->ListLiveNodes()) {
    if (node.regular) nodes.emplace(node.node, std::move(node));
  }
  const auto size = [&nodes](NodeId node) {
    const auto found = nodes.find(node);
    return found != nodes.end() ? std::optional(found->second.size) : std::nullopt;
  };
  const auto set_id = [&nodes](NodeId node) {
    const auto found = nodes.find(node);
    return found != nodes.end() ? std::optional(found->second.set_id) : std::nullopt;
  };
  const auto capability = [this](NodeId node) { return fs_->HasSecurityCapability(node); };
  const auto flag = [this](NodeId node) { return fs_->PersistentDaxHint(node); };
  std::unordered_map<NodeId, uint32_t> chunks;
  if (window_ != nullptr) chunks = window_->ChunksByNode();

  std::vector<LiveFile> files;
  for (const dax::InodeReport& report : states_->Snapshot(
           {.size = size, .persistent_dax_flag = flag, .set_id = set_id, .security_capability = capability})) {
    const auto node = nodes.find(report.node);
    if (node == nodes.end()) continue;  // forgotten, or looked up, between the two lists
    const auto mapped = chunks.find(report.node);
    files.push_back({.node = report.node,
                     .path = std::move(node->second.path),
                     .size = report.size,
                     .decision_dax = report.decision_dax,
                     .decision_rule = report.decision_rule,
                     .told_dax = report.told_dax,
                     .told_generation = report.told_generation,
                     .open = node->second.open_handles != 0,
                     .mapped_chunks = mapped != chunks.end() ? mapped->second : 0,
                     .setup_mappings = report.setup_mappings,
                     .reads = node->second.reads,
                     .writes = node->second.writes});
  }
  std::ranges::sort(files, {}, &LiveFile::path);
  return files;
}

}  // namespace daxvmm::virtio_fs
