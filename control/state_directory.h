// A directory that one machine keeps its state in: the file policy.state, replaced as a whole and durably, and a lock.
// Knows nothing of what the state says.
#ifndef DAXVMM_CONTROL_STATE_DIRECTORY_H_
#define DAXVMM_CONTROL_STATE_DIRECTORY_H_

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace daxvmm::control {

// The system calls that can fail while a state is written, so that a test can have them fail. As their namesakes: -1
// and errno.
class StateIo {
 public:
  virtual ~StateIo() = default;
  virtual ssize_t Write(int fd, const void* data, size_t size);
  virtual int Fsync(int fd);
  virtual int Rename(int directory, const char* from, const char* to);
};

// By one thread at a time. Every error is one line that begins with the path of the directory.
class StateDirectory {
 public:
  static constexpr char kFileName[] = "policy.state";

  // Makes the directory with mode 0700 if it is missing (not its parents), locks it until this goes, and removes what
  // an interrupted write has left. FAILED_PRECONDITION if it is no directory, belongs to somebody else, may be written
  // by others, or is in use by another process, which is named if it can be. `io` outlives this; null: the system's.
  static absl::StatusOr<std::unique_ptr<StateDirectory>> Open(const std::string& path, StateIo* io = nullptr);
  // A directory that Open has made and nobody has written to is removed.
  ~StateDirectory();
  StateDirectory(const StateDirectory&) = delete;
  StateDirectory& operator=(const StateDirectory&) = delete;

  // The body that Write was given last, by this or an earlier process; nullopt: there is no file. DATA_LOSS with the
  // reason if there is one that Write has not made; it is left as it is.
  absl::StatusOr<std::optional<std::string>> Read();
  // Replaces the file. Once OK, Read gives this body whatever happens to process or host; a process that is killed
  // meanwhile leaves one of both. An error leaves the old body: UNAVAILABLE for certain, DATA_LOSS perhaps (the disk
  // failed after the new file had got its name).
  absl::Status Write(absl::string_view body);
  // Gives the file another name, policy.state.bad-1 or the next that is free; the path of it.
  absl::StatusOr<std::string> SetAside();

  const std::string& path() const { return path_; }

 private:
  StateDirectory(std::string path, UniqueFd directory, bool made, StateIo* io);
  absl::Status Lock();
  absl::Status WriteTemporary(absl::string_view file);
  absl::Status Replace(absl::string_view file);
  absl::Status Error(int err, absl::string_view what) const;

  const std::string path_;
  const UniqueFd directory_;
  const bool made_;  // by Open
  StateIo* const io_;
  UniqueFd lock_;
  bool written_ = false;
  bool none_ = false;                // there is no file, as far as is known
  std::optional<std::string> last_;  // the file as it is on disk, as far as is known
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_STATE_DIRECTORY_H_
