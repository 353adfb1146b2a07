#include "base/named_thread.h"

#include <csignal>
#include <utility>

namespace daxvmm {

NamedThread::NamedThread(const std::string& name, std::function<void()> body) {
  // The new thread inherits the mask in force here: no window in which it takes a signal.
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  // A fault that is blocked kills the process past every handler, and so past the embedder's crash reporter.
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  // Also where std::thread throws, which some callers can live with.
  const struct Restore {
    const sigset_t& mask;
    ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } restore{before};
  // Named from within, so that the body never runs under another name.
  thread_ = std::thread([name = name.substr(0, 15), body = std::move(body)] {
    pthread_setname_np(pthread_self(), name.c_str());
    body();
  });
}

NamedThread& NamedThread::operator=(NamedThread&& other) noexcept {
  Join();
  thread_ = std::move(other.thread_);
  return *this;
}

void NamedThread::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace daxvmm
