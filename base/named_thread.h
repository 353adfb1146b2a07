// A thread with a name that ps and gdb show, joined by its owner.
#ifndef DAXVMM_BASE_NAMED_THREAD_H_
#define DAXVMM_BASE_NAMED_THREAD_H_

#include <pthread.h>

#include <functional>
#include <string>
#include <thread>

namespace daxvmm {

// Joins in its destructor: whoever owns it must first make the body return. The thread blocks every signal but faults
// and the ones that `body` itself unblocks, so that an embedder's handlers run on the embedder's threads.
class [[nodiscard]] NamedThread {
 public:
  NamedThread() = default;
  // `name` is cut to 15 characters, as the kernel does.
  NamedThread(const std::string& name, std::function<void()> body);
  NamedThread(NamedThread&&) = default;
  NamedThread& operator=(NamedThread&& other) noexcept;
  ~NamedThread() { Join(); }

  void Join();
  bool joinable() const { return thread_.joinable(); }
  pthread_t native_handle() { return thread_.native_handle(); }

 private:
  std::thread thread_;
};

}  // namespace daxvmm

#endif  // DAXVMM_BASE_NAMED_THREAD_H_
