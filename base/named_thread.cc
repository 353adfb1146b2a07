#include "base/named_thread.h"

#include <csignal>
#include <utility>

namespace daxvmm {

NamedThread::NamedThread(const std::string& name, std::function<void()> body) {
  // The new thread inherits the mask in force here: no window in which it takes a signal.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

NamedThread& NamedThread::operator=(NamedThread&& other) {
  Join();
  thread_ = std::move(other.thread_);
  return *this;
}

void NamedThread::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace daxvmm
