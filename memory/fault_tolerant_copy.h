// Copies to and from memory that may not be there: a window page that is not mapped, or one past the end of a file that
// somebody truncated. A plain load there would raise SIGSEGV or SIGBUS; here it is a `false`.
//
// The kernel does the copying (process_vm_readv and process_vm_writev on this very process), so nothing has to be
// installed: no signal handler that an embedder would have to know of. It costs a system call, so it is for headers
// and other small objects; bulk data goes by preadv and pwritev, which answer EFAULT just as well.
#ifndef DAXVMM_MEMORY_FAULT_TOLERANT_COPY_H_
#define DAXVMM_MEMORY_FAULT_TOLERANT_COPY_H_

#include <cstddef>
#include <span>

namespace daxvmm::memory {

// Fills `to` from [from, from + to.size()). False if a byte there cannot be read; part of `to` may be filled by then.
// Any thread.
[[nodiscard]] bool FaultTolerantRead(const std::byte* from, std::span<std::byte> to);

// Copies `from` to [to, to + from.size()). False if a byte there cannot be written; part may be written by then.
// Any thread.
[[nodiscard]] bool FaultTolerantWrite(std::byte* to, std::span<const std::byte> from);

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_FAULT_TOLERANT_COPY_H_
