// Raw mode for the terminal that carries the guest's console, and back.
#ifndef DAXVMM_VMM_TERMINAL_H_
#define DAXVMM_VMM_TERMINAL_H_

namespace daxvmm::vmm {

// Puts a terminal into raw mode for as long as it lives. The old settings also come back if the process calls exit, or
// dies of a fatal signal (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT), whose default action is then taken. One per
// process, made on the main thread: this belongs to the program `daxvmm`, never to an embedder's process.
class RawTerminal {
 public:
  // Does nothing if `fd` is not a terminal.
  explicit RawTerminal(int fd);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  // Sets raw mode again, after the process was stopped and continued by its shell.
  void Resume();
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_TERMINAL_H_
