// The virtio file system device (virtio 1.2, 5.11): a share of the host, and maybe a DAX window, behind virtqueues.
//
// Composition only. The file system (fs/) and the DAX side (dax/) do not know each other; they meet here, at two seams:
// the file system asks the inode states for the flags of each attribute reply, and the window asks the file system for
// the file of each mapping. The dispatcher (fuse/) stands in front of both.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_VIRTIO_FS_DEVICE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_VIRTIO_FS_DEVICE_H_

#include <linux/virtio_fs.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/units.h"
#include "devices/virtio/virtio_device.h"
#include "devices/virtio_fs/adaptive_driver.h"
#include "devices/virtio_fs/dax/inode_states.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "devices/virtio_fs/dax/window.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/queue_worker.h"
#include "memory/mapping_window.h"

namespace daxvmm::virtio_fs {

struct WindowPlace {
  memory::MappingWindow* window = nullptr;  // outlives the device
  GuestPhysAddr base;                       // a multiple of 2 MiB, where the window is in the guest
};

struct VirtioFsOptions {
  std::string tag;                  // see ValidateTag
  uint32_t num_request_queues = 1;  // 1 to 64
  // The largest ring, a power of two. Linux caps a request at the ring's size less 4 pages, so 1 MiB needs 512.
  uint16_t queue_size = 1024;
  fs::ShareOptions share;
  std::optional<WindowPlace> window;
  // As much of the window is for files that become DAX; 0: all of it. In whole chunks of 2 MiB.
  ByteCount dax_quota;
  // See dax::WindowOptions; may be empty.
  using Observer = std::function<void(bool withdrawn)>;
  Observer repaired;
};

// A live regular file of the share: what the guest holds of it, and what was decided about it.
struct LiveFile {
  NodeId node;
  std::string path;  // relative to the share; see fs::LiveNode
  ByteCount size;
  dax::InodeReport report;
  bool open = false;       // some handle is open on it
  dax::NodeWindowUse use;  // of the window
  uint64_t reads = 0;      // FUSE_READ requests since it came to life
  uint64_t writes = 0;     // FUSE_WRITE requests since then
};

// The same at a glance: what costs no system call.
struct LiveFileGlance {
  NodeId node;
  dax::InodeGlance state;
  bool open = false;
  uint32_t mapped_chunks = 0;
  uint64_t reads = 0;
  absl::FunctionRef<std::string()> path;
};

// A live regular file that another policy would decide otherwise about.
struct ChangedFile {
  NodeId node;
  bool would_be_dax = false;
  std::string rule;  // that would decide
  absl::FunctionRef<std::string()> path;
};

// What the policy says of one file, live or not, and why.
struct FileExplanation {
  std::optional<LiveFile> live;  // if the guest holds it
  std::string path;              // the one that the policy goes by; "?" if it is not known
  mode_t mode = 0;
  ByteCount size;
  uint32_t uid = 0;  // the owner on the host
  uint32_t gid = 0;
  bool huge_pages = false;
  bool dax_hint = false;
  bool security_capability = false;
  dax::PolicyAnswer answer;
  std::vector<dax::CompiledPolicy::Step> steps;
};

// The VirtioDevice side is driven by one transport, which serialises Activate and Reset. The accessors are for any
// thread. Destroy the transport first, or call Reset.
class VirtioFsDevice final : public virtio::VirtioDevice {
 public:
  // INVALID_ARGUMENT for a bad tag, queue number or size, or window base; else what opening the share answers, naming
  // its path. `policy` outlives the device.
  static absl::StatusOr<std::unique_ptr<VirtioFsDevice>> Create(const VirtioFsOptions& options,
                                                                const dax::PolicyStore* policy);
  ~VirtioFsDevice() override;

  // virtio::VirtioDevice. Reset waits for the request that each worker is serving, however long the host's file system
  // takes for it; requests behind it are not begun. It leaves no session, handle, node or mapping.
  uint32_t device_id() const override;
  uint64_t device_features() const override { return 0; }
  uint16_t queue_count() const override { return static_cast<uint16_t>(1 + options_.num_request_queues); }
  uint16_t queue_size_max() const override { return options_.queue_size; }
  std::optional<virtio::SharedMemoryRegion> shared_memory(uint8_t id) const override;
  void ReadConfig(uint64_t offset, std::span<uint8_t> data) const override;
  absl::Status Activate(std::vector<virtio::ActiveQueue> queues, virtio::DriverNotifier* notifier) override;
  void Reset() override;

  const std::string& tag() const { return options_.tag; }
  bool read_only() const { return options_.share.read_only; }
  // How the guest has mounted the share.
  fuse::ClientDaxMode client_dax_mode() const { return dispatcher_->client_dax_mode(); }
  // How many requests of an opcode were served since the device was made.
  uint64_t request_count(uint32_t opcode) const { return dispatcher_->request_count(opcode); }
  // What was counted of requests since the device was made, over all sessions and resets.
  fuse::RequestTotals request_totals() const { return dispatcher_->request_totals(); }
  // One queue's part of it, for as long as the device lives; `queue` is below queue_count().
  const fuse::RequestCounts& queue_counts(uint16_t queue) const { return *counts_[queue]; }
  // How often attributes were answered by each kind of decision of `compiled`, by CompiledPolicy::KindOf. 0 for a
  // policy whose rules are in force no more.
  std::vector<uint64_t> DecisionCounts(const dax::CompiledPolicy& compiled) const;
  // Inodes that the guest holds, what it has open, and the descriptors that are held for both.
  size_t node_count() const { return fs_->node_count(); }
  size_t handle_count() const { return fs_->handle_count(); }
  size_t descriptor_count() const { return fs_->descriptor_count(); }

  // nullptr and nullopt for a share without a window.
  const dax::Window* window() const { return window_.get(); }
  dax::Window* window() { return window_.get(); }
  std::optional<GuestPhysAddr> window_base() const;

  // Sorted by path. Not one moment's picture: requests go on meanwhile.
  std::vector<LiveFile> ListFiles() const;
  // Of all live regular files, by what the guest was told of them last. Takes some 200 ns each, beside the requests.
  dax::ConvergenceCounts CountConvergence() const;
  // Calls `visit` for each live regular file, by what the guest was told of it last. Takes some 0.5 us each, beside the
  // requests; `path` takes as long again.
  void VisitFiles(absl::FunctionRef<void(const LiveFileGlance&)> visit) const;
  // One of them as ListFiles shows it; nullopt if it is live no more, or no regular file.
  std::optional<LiveFile> FindFile(NodeId node) const;
  // The same of its path alone; empty if it is live no more.
  std::string PathOf(NodeId node) const;
  // The node of a live file that has this path in the list.
  std::optional<NodeId> NodeAt(absl::string_view path) const;
  // Whether the guest holds it.
  bool IsLive(NodeId node) const { return fs_->FindLive(node) != nullptr; }
  // Calls `visit` for each live regular file that `candidate` decides otherwise about than the policy in force; how
  // many were looked at. A file that would become DAX may cost a system call (security.capability, the persistent
  // hint).
  uint64_t ComparePolicy(const dax::PolicySnapshot& candidate, absl::FunctionRef<void(const ChangedFile&)> visit) const;
  // NOT_FOUND if there is no such file. A path is taken for that of a live file if it is one's, else looked up on the
  // host, from the share's root on and without following symbolic links.
  absl::StatusOr<FileExplanation> Explain(NodeId node) const;
  absl::StatusOr<FileExplanation> Explain(absl::string_view path) const;
  // For the lists: what the policy did.
  const dax::InodeStates& states() const { return *states_; }
  // A guest that uses a file notices a change of the policy within this time.
  absl::Duration attribute_timeout() const { return fs_->longest_timeout(); }
  ByteCount dax_quota() const { return options_.dax_quota; }

 private:
  class MappingGlue;
  class SessionGlue;
  static dax::FileFacts FactsOf(const fs::LiveNode& node, absl::FunctionRef<bool()> dax_hint,
                                absl::FunctionRef<bool()> security_capability,
                                absl::FunctionRef<std::optional<std::string>()> path);
  LiveFile Describe(const fs::LiveNode& node) const;
  FileExplanation ExplainLive(const fs::LiveNode& node) const;

  VirtioFsDevice(const VirtioFsOptions& options, const dax::PolicyStore* policy, std::unique_ptr<dax::Window> window);

  const VirtioFsOptions options_;
  const dax::PolicyStore* const policy_;
  const virtio_fs_config config_;
  // Each uses the ones above it; they go in the reverse order.
  const std::unique_ptr<dax::Window> window_;
  std::unique_ptr<dax::InodeStates> states_;
  std::unique_ptr<fs::PassthroughFs> fs_;
  std::unique_ptr<AdaptiveDriver> adaptive_;
  std::unique_ptr<MappingGlue> mapping_glue_;
  std::unique_ptr<SessionGlue> session_glue_;
  std::unique_ptr<fuse::Dispatcher> dispatcher_;
  std::vector<fuse::RequestCounts*> counts_;  // the dispatcher's, by queue; each for its queue's worker of the time
  // Touched by Activate and Reset only.
  std::vector<std::unique_ptr<QueueWorker>> workers_;
};

}  // namespace daxvmm::virtio_fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_VIRTIO_FS_DEVICE_H_
