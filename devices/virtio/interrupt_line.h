// The wire from a transport to the guest's interrupt controller.
#ifndef DAXVMM_DEVICES_VIRTIO_INTERRUPT_LINE_H_
#define DAXVMM_DEVICES_VIRTIO_INTERRUPT_LINE_H_

namespace daxvmm::virtio {

class InterruptLine {
 public:
  virtual ~InterruptLine() = default;
  // One edge. Any thread, several at once; must not block, since the data path calls it (a write to an irqfd does not).
  virtual void Pulse() = 0;
};

}  // namespace daxvmm::virtio

#endif  // DAXVMM_DEVICES_VIRTIO_INTERRUPT_LINE_H_
