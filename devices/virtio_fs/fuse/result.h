// The channel for answers to the guest: a value, or an errno.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_RESULT_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_RESULT_H_

#include <cerrno>
#include <utility>
#include <variant>

namespace daxvmm::fuse {

// A positive errno value, or none. The wire form (0 or -errno) exists only in the reply encoder.
class [[nodiscard]] Errno {
 public:
  constexpr Errno() = default;
  constexpr explicit Errno(int value) : value_(value) {}
  // The calling thread's errno: call it at once after the failure.
  static Errno Last() { return Errno(errno); }
  constexpr bool ok() const { return value_ == 0; }
  constexpr int value() const { return value_; }
  constexpr bool operator==(const Errno&) const = default;

 private:
  int value_ = 0;
};

inline constexpr Errno kOk{};

// A T, or the errno that stands in its place.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : rep_(std::move(value)) {}  // NOLINT: returned by value from functions
  Result(Errno error) : rep_(error) {}         // NOLINT; `error` is not kOk
  bool ok() const { return std::holds_alternative<T>(rep_); }
  Errno error() const { return ok() ? kOk : std::get<Errno>(rep_); }
  T& operator*() & { return std::get<T>(rep_); }
  const T& operator*() const& { return std::get<T>(rep_); }
  T&& operator*() && { return std::get<T>(std::move(rep_)); }
  T* operator->() { return &std::get<T>(rep_); }
  const T* operator->() const { return &std::get<T>(rep_); }

 private:
  std::variant<T, Errno> rep_;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_RESULT_H_
