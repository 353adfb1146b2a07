// Runs the adaptive policy of one share beside its requests: a thread that looks at what the files did, once a second
// and when much was mapped.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_ADAPTIVE_DRIVER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_ADAPTIVE_DRIVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/mutex.h"
#include "base/named_thread.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/adaptive.h"
#include "devices/virtio_fs/dax/inode_states.h"
#include "devices/virtio_fs/dax/window.h"

namespace daxvmm::virtio_fs {

// Any thread may call any method. The thread sleeps until a file is judged by this policy, and while none is live.
// `Admit` may wait for a look at the files, which takes no system call: some milliseconds at 16,384 files.
class AdaptiveDriver final : public dax::AdaptiveVerdicts {
 public:
  // The inodes of the share. Called on the driver's thread, under no lock.
  struct Inodes {
    // Latches the verdict in the inode, if it is still live.
    std::function<void(NodeId node, bool dax)> latch;
    // Whether the guest has it open.
    std::function<bool(NodeId node)> is_open;
  };

  // `states` and `window` outlive the driver, and `states` must not call it once it is being destroyed.
  AdaptiveDriver(dax::InodeStates* states, const dax::Window* window, Inodes inodes);
  ~AdaptiveDriver() override;

  // dax::AdaptiveVerdicts
  bool Admit(NodeId node, const dax::NewFile& file) override;
  bool WouldAdmit(const dax::NewFile& file) const override;
  std::string Reason(dax::FileIdentity file) const override;
  void Mapped() override;
  void Forgotten(NodeId node, const dax::FileSample& last) override;

  // One look at the files, as the thread takes it. For tests.
  void Look();

 private:
  // Of files beyond, a verdict changes only when they are used.
  static constexpr size_t kMaxNodes = 65536;

  void Run();
  dax::AdaptiveTime Now() const;

  dax::InodeStates* const states_;
  const dax::Window* const window_;
  const Inodes inodes_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();

  mutable Mutex mu_;
  CondVar wake_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool due_ ABSL_GUARDED_BY(mu_) = false;  // before its time
  dax::AdaptivePolicy policy_ ABSL_GUARDED_BY(mu_);
  uint64_t maps_ ABSL_GUARDED_BY(mu_) = 0;
  std::unordered_map<uint64_t, NodeId> nodes_ ABSL_GUARDED_BY(mu_);  // by the file's identity
  NamedThread thread_;                                               // last: it uses all of the above
};

}  // namespace daxvmm::virtio_fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_ADAPTIVE_DRIVER_H_
