#include "memory/fault_tolerant_copy.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace daxvmm::memory {
namespace {

using ProcessVmCall = ssize_t (*)(pid_t, const iovec*, unsigned long, const iovec*, unsigned long, unsigned long);

// `mine` is memory that is known to be there; `theirs` is what may fault.
bool Copy(ProcessVmCall call, std::byte* mine, std::byte* theirs, size_t size) {
  size_t done = 0;
  while (done < size) {
    const iovec local{mine + done, size - done};
    const iovec remote{theirs + done, size - done};
    // getpid each time: a process that forked is another one.
    const ssize_t n = call(getpid(), &local, 1, &remote, 1, 0);
    if (n > 0) {
      // Short when it came upon a bad page (the next turn says so) or at the kernel's limit for one call.
      done += static_cast<size_t>(n);
      continue;
    }
    // Anything else than EFAULT means that this host forbids the call, and that no window can hold request buffers.
    if (n < 0 && errno != EFAULT) LOG_LIMITED(kWarning) << "process_vm access to a window: " << std::strerror(errno);
    return false;
  }
  return true;
}

}  // namespace

bool FaultTolerantRead(const std::byte* from, std::span<std::byte> to) {
  return Copy(&process_vm_readv, to.data(), const_cast<std::byte*>(from), to.size());
}

bool FaultTolerantWrite(std::byte* to, std::span<const std::byte> from) {
  return Copy(&process_vm_writev, const_cast<std::byte*>(from.data()), to, from.size());
}

}  // namespace daxvmm::memory
