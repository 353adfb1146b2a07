#include "devices/virtio/virtqueue.h"

#include <atomic>
#include <bit>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace daxvmm::virtio {
namespace {

constexpr uint16_t kMaxSize = 32768;                      // virtio 1.2, 2.7
constexpr ByteCount kMaxChainBytes(uint64_t{1} << 32);    // 2.7.5.2
constexpr ByteCount kDescriptorSize(sizeof(vring_desc));  // also the table's alignment
constexpr ByteCount kAvailAlignment(VRING_AVAIL_ALIGN_SIZE);
constexpr ByteCount kUsedAlignment(VRING_USED_ALIGN_SIZE);

// Guest memory changes under our hands: every access is atomic, so that a value read is one value.
template <typename T>
T Load(T& field, std::memory_order order = std::memory_order_relaxed) {
  return std::atomic_ref<T>(field).load(order);
}
template <typename T>
void Store(T& field, T value, std::memory_order order = std::memory_order_relaxed) {
  std::atomic_ref<T>(field).store(value, order);
}

// Between a store that the driver looks for and a load of what the driver stores. Only this order (store, then load)
// is at stake, which no acquire or release gives.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"  // TSan does not model fences; nothing it checks depends on this one
#endif
void FullFence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

// Two loads for the four fields: each is read once.
vring_desc LoadDescriptor(vring_desc* at) {
  auto* words = reinterpret_cast<uint64_t*>(at);
  const uint64_t address = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
  const uint64_t rest = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
  return {.addr = address,
          .len = static_cast<uint32_t>(rest),
          .flags = static_cast<uint16_t>(rest >> 32),
          .next = static_cast<uint16_t>(rest >> 48)};
}

// The host address of one part of the ring.
absl::StatusOr<std::byte*> Resolve(absl::string_view part, GuestPhysAddr at, ByteCount size, ByteCount alignment,
                                   const memory::GuestMemory& memory) {
  const std::string where = absl::StrCat(part, " at 0x", absl::Hex(at.raw()));
  if (!at.IsAlignedTo(alignment)) {
    return absl::InvalidArgumentError(absl::StrCat(where, " is not a multiple of ", alignment.raw()));
  }
  std::byte* host = memory.RamPointer(at, size);
  if (host == nullptr) return absl::InvalidArgumentError(absl::StrCat(where, " is not in RAM"));
  return host;
}

}  // namespace

absl::string_view QueueFaultName(QueueFault fault) {
  switch (fault) {
    case QueueFault::kNone:
      return "none";
    case QueueFault::kAvailIndexJump:
      return "available index jumped";
    case QueueFault::kHeadOutOfRange:
      return "descriptor index out of range";
    case QueueFault::kChainTooLong:
      return "chain too long";
    case QueueFault::kBadIndirect:
      return "bad indirect descriptor";
    case QueueFault::kWritableBeforeReadable:
      return "readable descriptor after a writable one";
    case QueueFault::kBadAddress:
      return "address outside of guest memory";
    case QueueFault::kTooManyBytes:
      return "chain of more than 4 GiB";
  }
  return "?";
}

absl::StatusOr<std::unique_ptr<Virtqueue>> Virtqueue::Create(const VirtqueueConfig& config,
                                                             const memory::GuestMemory* memory) {
  if (!std::has_single_bit(config.size) || config.size > kMaxSize) {
    return absl::InvalidArgumentError(absl::StrCat("queue size ", config.size, " is not a power of two up to 32768"));
  }
  // The sizes of 2.7, which include used_event and avail_event.
  const uint64_t entries = config.size;
  auto descriptors = Resolve("descriptor table", config.descriptors, ByteCount(entries * sizeof(vring_desc)),
                             kDescriptorSize, *memory);
  if (!descriptors.ok()) return descriptors.status();
  auto avail = Resolve("available ring", config.driver_area, ByteCount(6 + 2 * entries), kAvailAlignment, *memory);
  if (!avail.ok()) return avail.status();
  auto used = Resolve("used ring", config.device_area, ByteCount(6 + 8 * entries), kUsedAlignment, *memory);
  if (!used.ok()) return used.status();
  const Rings rings = {reinterpret_cast<vring_desc*>(*descriptors), reinterpret_cast<vring_avail*>(*avail),
                       reinterpret_cast<vring_used*>(*used)};
  return std::unique_ptr<Virtqueue>(new Virtqueue(config, memory, rings));
}

bool Virtqueue::Pop(DescriptorChain* chain) {
  if (fault_ != QueueFault::kNone) return false;
  if (next_avail_ == seen_avail_) {
    seen_avail_ = LoadAvailIndex();
    if (next_avail_ == seen_avail_) return false;
    if (static_cast<uint16_t>(seen_avail_ - next_avail_) > config_.size) return Fail(QueueFault::kAvailIndexJump);
  }
  chain->head = Load(rings_.avail->ring[next_avail_ % config_.size]);
  chain->readable.Clear();
  chain->writable.Clear();
  if (!Walk(chain)) return false;
  ++next_avail_;
  return true;
}

bool Virtqueue::Walk(DescriptorChain* chain) {
  Table table = {config_.descriptors, rings_.descriptors, config_.size};
  bool in_indirect = false;
  bool writable_seen = false;
  ByteCount bytes;
  uint16_t index = chain->head;
  // A chain has at most as many descriptors as the queue (2.7.5.3.1 says so for indirect ones too), which ends loops.
  // The one that refers to the indirect table is not counted: a chain of full length may stand in a table.
  for (uint32_t count = 0; count < config_.size;) {
    vring_desc descriptor;
    if (!FetchDescriptor(table, index, &descriptor)) return false;
    if ((descriptor.flags & VRING_DESC_F_INDIRECT) != 0) {
      if (in_indirect || !EnterIndirect(descriptor, &table)) return Fail(QueueFault::kBadIndirect);
      in_indirect = true;
      index = 0;
      continue;
    }
    const bool writable = (descriptor.flags & VRING_DESC_F_WRITE) != 0;
    if (writable_seen && !writable) return Fail(QueueFault::kWritableBeforeReadable);
    writable_seen = writable;
    bytes += ByteCount(descriptor.len);  // cannot wrap: 2^15 times 2^32
    if (bytes > kMaxChainBytes) return Fail(QueueFault::kTooManyBytes);
    if (!AppendBuffer(descriptor, chain)) return Fail(QueueFault::kBadAddress);
    if ((descriptor.flags & VRING_DESC_F_NEXT) == 0) return true;
    index = descriptor.next;
    ++count;
  }
  return Fail(QueueFault::kChainTooLong);
}

bool Virtqueue::FetchDescriptor(const Table& table, uint16_t index, vring_desc* descriptor) {
  if (index >= table.entries) return Fail(QueueFault::kHeadOutOfRange);
  if (table.host != nullptr) {
    *descriptor = LoadDescriptor(&table.host[index]);
    return true;
  }
  // No overflow: EnterIndirect checked the end of the table.
  const std::optional<vring_desc> copy =
      memory_->ReadObject<vring_desc>(table.at + ByteCount(index * sizeof(vring_desc)));
  if (!copy.has_value()) return Fail(QueueFault::kBadAddress);
  *descriptor = *copy;
  return true;
}

// A table ends the chain of direct descriptors, may not nest (2.7.5.3.1), and its WRITE flag means nothing
// (2.7.5.3.2).
bool Virtqueue::EnterIndirect(const vring_desc& descriptor, Table* table) {
  const GuestPhysAddr at(descriptor.addr);
  const ByteCount size(descriptor.len);
  if (!config_.indirect || (descriptor.flags & VRING_DESC_F_NEXT) != 0) return false;
  if (size == ByteCount() || !size.IsMultipleOf(kDescriptorSize)) return false;
  if (!CheckedAdd(at, size).has_value()) return Fail(QueueFault::kBadAddress);
  // The specification asks for no alignment of indirect tables.
  const bool aligned = at.IsAlignedTo(ByteCount(alignof(vring_desc)));
  auto* host = aligned ? reinterpret_cast<vring_desc*>(memory_->RamPointer(at, size)) : nullptr;
  *table = {at, host, static_cast<uint32_t>(size.raw() / sizeof(vring_desc))};
  return true;
}

bool Virtqueue::AppendBuffer(const vring_desc& descriptor, DescriptorChain* chain) {
  if (descriptor.len == 0) return true;
  const GuestPhysAddr at(descriptor.addr);
  const ByteCount size(descriptor.len);
  if ((descriptor.flags & VRING_DESC_F_WRITE) != 0) {
    return memory_->AppendIoVecs(at, size, memory::Access::kDeviceWrites, &chain->writable);
  }
  return memory_->AppendIoVecs(at, size, memory::Access::kDeviceReads, &chain->readable);
}

void Virtqueue::Push(const DescriptorChain& chain, uint32_t bytes_written) {
  vring_used_elem& element = rings_.used->ring[next_used_ % config_.size];
  Store<uint32_t>(element.id, chain.head);
  Store<uint32_t>(element.len, bytes_written);
  ++next_used_;
  if (next_used_ == signalled_used_) used_lapped_ = true;
  // Release: who sees the index sees the entry, and the reply in the chain's buffers.
  Store<uint16_t>(rings_.used->idx, next_used_, std::memory_order_release);
}

bool Virtqueue::ShouldSignal() {
  const uint16_t since = signalled_used_;
  const bool lapped = used_lapped_;
  signalled_used_ = next_used_;
  used_lapped_ = false;
  if (next_used_ == since && !lapped) return false;
  // The driver stores its wish and then looks at the used index; we did the reverse. One of us sees the other's.
  FullFence();
  if (!config_.event_idx) return (Load(rings_.avail->flags) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
  return lapped || vring_need_event(LoadUsedEvent(), next_used_, since) != 0;
}

void Virtqueue::DisableKicks() {
  // With EVENT_IDX the driver kicks only when it passes avail_event, which stays behind: nothing to say.
  if (!config_.event_idx) Store<uint16_t>(rings_.used->flags, VRING_USED_F_NO_NOTIFY);
}

bool Virtqueue::EnableKicks() {
  if (fault_ != QueueFault::kNone) return false;
  if (config_.event_idx) {
    Store<uint16_t>(*reinterpret_cast<uint16_t*>(&rings_.used->ring[config_.size]), next_avail_);
  } else {
    Store<uint16_t>(rings_.used->flags, 0);
  }
  FullFence();
  return LoadAvailIndex() != next_avail_;
}

uint16_t Virtqueue::LoadAvailIndex() const {
  // Acquire: the entries and descriptors that the index announces are read after it.
  return Load(rings_.avail->idx, std::memory_order_acquire);
}

uint16_t Virtqueue::LoadUsedEvent() const { return Load(rings_.avail->ring[config_.size]); }

bool Virtqueue::Fail(QueueFault fault) {
  // The first one is the cause.
  if (fault_ == QueueFault::kNone) fault_ = fault;
  return false;
}

}  // namespace daxvmm::virtio
