#include "memory/iov_cursor.h"

#include <algorithm>
#include <cstring>

#include "memory/fault_tolerant_copy.h"

namespace daxvmm::memory {
namespace {

// Calls visit(address, size) for each contiguous piece of the next `bytes` bytes and moves index and offset past what
// it accepted. The caller has checked that as many remain.
template <typename Visitor>
bool VisitPieces(const IoVecs& vecs, size_t bytes, size_t* index, size_t* offset, Visitor visit) {
  while (bytes > 0) {
    const iovec& entry = vecs.iov[*index];
    const size_t piece = std::min(bytes, entry.iov_len - *offset);
    if (piece > 0 && !visit(static_cast<std::byte*>(entry.iov_base) + *offset, piece)) return false;
    bytes -= piece;
    *offset += piece;
    if (*offset == entry.iov_len) {
      ++*index;
      *offset = 0;
    }
  }
  return true;
}

auto AppendTo(std::vector<iovec>* out) {
  return [out](std::byte* at, size_t size) {
    out->push_back({at, size});
    return true;
  };
}

bool Pass(std::byte* /*at*/, size_t /*size*/) { return true; }

}  // namespace

IovReader::IovReader(const IoVecs& source) : source_(source), remaining_(source.TotalBytes()) {}

bool IovReader::Read(std::span<std::byte> to) {
  if (to.size() > remaining_) return false;
  remaining_ -= to.size();
  std::byte* next = to.data();
  return VisitPieces(source_, to.size(), &index_, &offset_, [this, &next](const std::byte* at, size_t size) {
    if (source_.all_ram) {
      std::memcpy(next, at, size);
    } else if (!FaultTolerantRead(at, {next, size})) {
      return false;
    }
    next += size;
    return true;
  });
}

bool IovReader::Skip(size_t bytes) {
  if (bytes > remaining_) return false;
  remaining_ -= bytes;
  return VisitPieces(source_, bytes, &index_, &offset_, Pass);
}

std::vector<iovec> IovReader::Take(size_t bytes) {
  bytes = std::min(bytes, remaining_);
  remaining_ -= bytes;
  std::vector<iovec> taken;
  VisitPieces(source_, bytes, &index_, &offset_, AppendTo(&taken));
  return taken;
}

IovWriter::IovWriter(const IoVecs& target) : target_(target), remaining_(target.TotalBytes()) {}

bool IovWriter::Write(std::span<const std::byte> from) {
  if (from.size() > remaining_) return false;
  const std::byte* next = from.data();
  const bool complete = VisitPieces(target_, from.size(), &index_, &offset_, [this, &next](std::byte* at, size_t size) {
    if (target_.all_ram) {
      std::memcpy(at, next, size);
    } else if (!FaultTolerantWrite(at, {next, size})) {
      return false;
    }
    next += size;
    return true;
  });
  // Counts only what arrived, so that index and offset always agree with it.
  const size_t copied = static_cast<size_t>(next - from.data());
  remaining_ -= copied;
  written_ += copied;
  return complete;
}

std::vector<iovec> IovWriter::Peek(size_t bytes) const {
  std::vector<iovec> pieces;
  size_t index = index_;
  size_t offset = offset_;
  VisitPieces(target_, std::min(bytes, remaining_), &index, &offset, AppendTo(&pieces));
  return pieces;
}

bool IovWriter::Advance(size_t bytes) {
  if (bytes > remaining_) return false;
  remaining_ -= bytes;
  written_ += bytes;
  return VisitPieces(target_, bytes, &index_, &offset_, Pass);
}

IovWriter IovWriter::At(size_t bytes) const {
  IovWriter other = *this;
  other.Advance(std::min(bytes, remaining_));
  return other;
}

}  // namespace daxvmm::memory
