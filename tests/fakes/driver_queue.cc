#include "tests/fakes/driver_queue.h"

#include <algorithm>
#include <atomic>

#include "base/log.h"

namespace daxvmm::fakes {
namespace {

ByteCount AvailSize(uint16_t size) { return ByteCount(6 + 2 * uint64_t{size}); }
ByteCount UsedSize(uint16_t size) { return ByteCount(6 + 8 * uint64_t{size}); }

}  // namespace

std::vector<std::byte> BytesOfName(absl::string_view name) {
  std::vector<std::byte> bytes(name.size() + 1);
  std::memcpy(bytes.data(), name.data(), name.size());
  return bytes;
}

std::vector<std::byte> Concatenate(std::vector<std::byte> first, std::span<const std::byte> second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

DriverQueue::DriverQueue(GuestRam* ram, const DriverQueueOptions& options) : ram_(ram) {
  const ByteCount table_size(uint64_t{options.size} * sizeof(vring_desc));
  config_ = {.size = options.size,
             .descriptors = ram->Allocate(table_size),
             .driver_area = ram->Allocate(AvailSize(options.size)),
             .device_area = ram->Allocate(UsedSize(options.size)),
             .event_idx = options.event_idx,
             .indirect = options.indirect};
  descriptors_ = reinterpret_cast<vring_desc*>(ram->Host(config_.descriptors, table_size));
  avail_ = reinterpret_cast<vring_avail*>(ram->Host(config_.driver_area, AvailSize(options.size)));
  used_ = reinterpret_cast<vring_used*>(ram->Host(config_.device_area, UsedSize(options.size)));
  used_event_ = &avail_->ring[options.size];
  avail_event_ = reinterpret_cast<uint16_t*>(&used_->ring[options.size]);
  Reset();
}

DriverQueue::~DriverQueue() {
  Reset();
  ram_->Free(config_.descriptors, ByteCount(size() * sizeof(vring_desc)));
  ram_->Free(config_.driver_area, AvailSize(size()));
  ram_->Free(config_.device_area, UsedSize(size()));
}

void DriverQueue::Reset() {
  std::memset(descriptors_, 0, size() * sizeof(vring_desc));
  std::memset(avail_, 0, AvailSize(size()).raw());
  std::memset(used_, 0, UsedSize(size()).raw());
  while (!outstanding_.empty()) {
    auto node = outstanding_.extract(outstanding_.begin());
    Release(node.key(), &node.mapped());
  }
  free_.clear();
  for (int i = size() - 1; i >= 0; --i) free_.push_back(static_cast<uint16_t>(i));
  next_avail_ = published_ = next_used_ = 0;
}

std::optional<uint16_t> DriverQueue::Add(const Request& request) {
  std::vector<Buffer> buffers;
  size_t done = 0;
  auto add_out = [&](size_t wanted) {
    const size_t length = std::min(wanted, request.out.size() - done);
    const Buffer buffer{ram_->Allocate(ByteCount(length)), static_cast<uint32_t>(length), false};
    const std::byte* const from = request.out.data() + done;
    ram_->Write(buffer.at, {from, from + length});
    done += length;
    buffers.push_back(buffer);
  };
  for (uint32_t cut : request.out_cuts) add_out(cut);
  if (done < request.out.size()) add_out(request.out.size() - done);
  for (uint32_t length : request.in_sizes) {
    const Buffer buffer{ram_->Allocate(ByteCount(length)), length, true};
    // Not what the buffer held before: a test must not pass on an old reply.
    ram_->Write(buffer.at, std::vector<std::byte>(length, std::byte{0xa5}));
    buffers.push_back(buffer);
  }
  std::optional<uint16_t> head = AddBuffers(buffers, request.indirect);
  if (head.has_value()) {
    outstanding_[*head].owns_buffers = true;
  } else {
    for (const Buffer& buffer : buffers) ram_->Free(buffer.at, ByteCount(buffer.size));
  }
  return head;
}

std::optional<uint16_t> DriverQueue::AddBuffers(std::span<const Buffer> buffers, bool indirect) {
  CHECK(!buffers.empty());
  const size_t needed = indirect ? 1 : buffers.size();
  if (free_.size() < needed) return std::nullopt;
  Outstanding chain;
  chain.buffers.assign(buffers.begin(), buffers.end());
  for (size_t i = 0; i < needed; ++i) {
    chain.descriptors.push_back(free_.back());
    free_.pop_back();
  }
  const uint16_t head = chain.descriptors[0];

  std::vector<vring_desc> made;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const bool last = i + 1 == buffers.size();
    vring_desc descriptor = {};
    descriptor.addr = buffers[i].at.raw();
    descriptor.len = buffers[i].size;
    descriptor.flags =
        static_cast<uint16_t>((last ? 0 : VRING_DESC_F_NEXT) | (buffers[i].device_writes ? VRING_DESC_F_WRITE : 0));
    if (!last) descriptor.next = indirect ? static_cast<uint16_t>(i + 1) : chain.descriptors[i + 1];
    made.push_back(descriptor);
  }
  if (indirect) {
    const uint32_t bytes = static_cast<uint32_t>(made.size() * sizeof(vring_desc));
    chain.table = Buffer{ram_->Allocate(ByteCount(bytes)), bytes};
    std::memcpy(ram_->Host(chain.table->at, ByteCount(bytes)), made.data(), bytes);
    WriteDescriptor(head, {.addr = chain.table->at.raw(), .len = bytes, .flags = VRING_DESC_F_INDIRECT, .next = 0});
  } else {
    for (size_t i = 0; i < made.size(); ++i) WriteDescriptor(chain.descriptors[i], made[i]);
  }
  outstanding_[head] = std::move(chain);
  WriteAvailSlot(next_avail_++, head);
  return head;
}

void DriverQueue::AddHeadAgain(uint16_t head) {
  auto chain = outstanding_.find(head);
  CHECK(chain != outstanding_.end());
  ++chain->second.times;
  WriteAvailSlot(next_avail_++, head);
}

bool DriverQueue::Publish() {
  const uint16_t old_index = published_;
  published_ = next_avail_;
  // Sequentially consistent with the look at the device's wish: one of the two sides sees the other's store.
  std::atomic_ref<uint16_t>(avail_->idx).store(published_, std::memory_order_seq_cst);
  if (published_ == old_index) return false;
  if (config_.event_idx) return vring_need_event(avail_event(), published_, old_index) != 0;
  return (used_flags() & VRING_USED_F_NO_NOTIFY) == 0;
}

std::vector<Completion> DriverQueue::Collect() {
  std::vector<Completion> completions;
  while (HasUsed()) {
    const vring_used_elem element = used_slot(next_used_++);
    CHECK(element.id < size()) << "used id " << element.id;
    const auto head = static_cast<uint16_t>(element.id);
    auto found = outstanding_.find(head);
    CHECK(found != outstanding_.end()) << "the device gave back head " << head << ", which it did not have";
    Completion completion{.head = head, .written = element.len, .in = {}};
    uint64_t left = element.len;
    for (const Buffer& buffer : found->second.buffers) {
      if (!buffer.device_writes) continue;
      const ByteCount part(std::min<uint64_t>(left, buffer.size));
      left -= part.raw();
      completion.in = Concatenate(std::move(completion.in), ram_->Read(buffer.at, part));
    }
    completions.push_back(std::move(completion));
    if (--found->second.times == 0) {
      auto node = outstanding_.extract(found);
      Release(node.key(), &node.mapped());
    }
  }
  return completions;
}

bool DriverQueue::WantInterrupts(bool want) {
  if (config_.event_idx) {
    SetUsedEvent(want ? next_used_ : static_cast<uint16_t>(next_used_ - 1));
  } else {
    SetAvailFlags(want ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
  }
  return HasUsed();
}

void DriverQueue::WriteAvailSlot(uint16_t slot, uint16_t head) {
  std::atomic_ref<uint16_t>(avail_->ring[slot % size()]).store(head, std::memory_order_relaxed);
}

vring_used_elem DriverQueue::used_slot(uint16_t slot) const {
  vring_used_elem& element = used_->ring[slot % size()];
  return {.id = std::atomic_ref<uint32_t>(element.id).load(std::memory_order_relaxed),
          .len = std::atomic_ref<uint32_t>(element.len).load(std::memory_order_relaxed)};
}

void DriverQueue::Store16(uint16_t* at, uint16_t value) {
  std::atomic_ref<uint16_t>(*at).store(value, std::memory_order_seq_cst);
}

uint16_t DriverQueue::Load16(const uint16_t* at) {
  return std::atomic_ref<uint16_t>(*const_cast<uint16_t*>(at)).load(std::memory_order_seq_cst);
}

void DriverQueue::Release(uint16_t head, Outstanding* chain) {
  for (uint16_t descriptor : chain->descriptors) free_.push_back(descriptor);
  if (chain->table.has_value()) ram_->Free(chain->table->at, ByteCount(chain->table->size));
  if (!chain->owns_buffers) return;
  for (const Buffer& buffer : chain->buffers) ram_->Free(buffer.at, ByteCount(buffer.size));
}

}  // namespace daxvmm::fakes
