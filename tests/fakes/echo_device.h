// A virtio device that answers each request with the request's own bytes: the transport's tests need one that lives.
#ifndef DAXVMM_TESTS_FAKES_ECHO_DEVICE_H_
#define DAXVMM_TESTS_FAKES_ECHO_DEVICE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/event_fd.h"
#include "base/named_thread.h"
#include "devices/virtio/virtio_device.h"

namespace daxvmm::fakes {

class EchoDevice : public virtio::VirtioDevice {
 public:
  struct Traits {
    uint32_t device_id = 26;
    uint64_t features = 0;
    uint16_t queue_count = 2;
    uint16_t queue_size_max = 128;
    std::optional<virtio::SharedMemoryRegion> shared_memory = std::nullopt;
    std::vector<uint8_t> config = {};
    absl::Status activation = absl::OkStatus();
  };
  explicit EchoDevice(Traits traits) : traits_(std::move(traits)) {}
  ~EchoDevice() override { Reset(); }

  // Called by a worker with a request in its hands, before it answers. Set it before the device activates.
  void set_before_reply(std::function<void()> hook) { before_reply_ = std::move(hook); }

  int activations() const { return activations_.load(); }
  int resets() const { return resets_.load(); }
  uint64_t answered() const { return answered_.load(); }
  size_t active_queues() const { return workers_.size(); }

  uint32_t device_id() const override { return traits_.device_id; }
  uint64_t device_features() const override { return traits_.features; }
  uint16_t queue_count() const override { return traits_.queue_count; }
  uint16_t queue_size_max() const override { return traits_.queue_size_max; }
  std::optional<virtio::SharedMemoryRegion> shared_memory(uint8_t id) const override;
  void ReadConfig(uint64_t offset, std::span<uint8_t> data) const override;
  absl::Status Activate(std::vector<virtio::ActiveQueue> queues, virtio::DriverNotifier* notifier) override;
  void Reset() override;

 private:
  void Serve(virtio::ActiveQueue* queue, virtio::DriverNotifier* notifier);

  const Traits traits_;
  std::function<void()> before_reply_;
  std::optional<EventFd> stop_;
  std::vector<virtio::ActiveQueue> queues_;
  std::vector<NamedThread> workers_;
  std::atomic<int> activations_{0};
  std::atomic<int> resets_{0};
  std::atomic<uint64_t> answered_{0};
};

}  // namespace daxvmm::fakes

#endif  // DAXVMM_TESTS_FAKES_ECHO_DEVICE_H_
