#include "control/testing/subprocess.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unique_fd.h"

namespace daxvmm::control {
namespace {

UniqueFd MemoryFile(const std::string& content) {
  UniqueFd fd(memfd_create("stream", MFD_CLOEXEC));
  CHECK(fd.valid());
  CHECK(pwrite(fd.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  return fd;
}

std::string Content(const UniqueFd& fd) {
  std::string content(lseek(fd.get(), 0, SEEK_END), '\0');
  CHECK(pread(fd.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  return content;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Finished RunToEnd(const std::vector<std::string>& arguments, const std::string& input,
                  const std::vector<std::string>& environment) {
  const UniqueFd streams[3] = {MemoryFile(input), MemoryFile(""), MemoryFile("")};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 3; ++i) posix_spawn_file_actions_adddup2(&actions, streams[i].get(), i);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, arguments[0].c_str(), &actions, nullptr, Pointers(arguments).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  Finished finished;
  if (error != 0) return finished;
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status)) finished.exit_code = WEXITSTATUS(status);
  finished.out = Content(streams[1]);
  finished.err = Content(streams[2]);
  return finished;
}

}  // namespace daxvmm::control
