// What the conformance cases speak: POSIX-like calls on a tree of files, whoever serves it. One list of cases so runs
// against the file system in this process, against a directory of the host (which shows that the expectations are
// true), and against anything that is mounted.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_VOLUME_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_VOLUME_H_

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace daxvmm::conformance {

struct Attributes {
  uint64_t ino = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes
  mode_t mode = 0;
  uint32_t nlink = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  uint32_t major = 0, minor = 0;  // of a device
  timespec atime = {}, mtime = {}, ctime = {};
};

struct DirEntry {
  std::string name;
  uint64_t ino = 0;
  unsigned type = 0;         // DT_*
  uint64_t next_offset = 0;  // where the stream goes on behind this entry
};

struct Capacity {
  uint64_t block_size = 0, blocks = 0, free_blocks = 0, available_blocks = 0;
  uint64_t files = 0, free_files = 0;
  uint64_t name_max = 0;
};

// In whose name a call is made. Only uid 0 has capabilities.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};  // supplementary
  mode_t umask = 0;
};

// Paths are relative to the root, without symbolic links on the way; the root is "". Every call answers 0 or an errno.
// The last component is never followed. Calls are made in the name of the caller last set, root first. Methods marked
// "kernel" are ENOSYS without one: only cases that say so (Case::needs) may use them.
class Volume {
 public:
  virtual ~Volume() = default;
  virtual void SetCaller(const Caller& caller) = 0;
  void SetCaller(uid_t uid, gid_t gid) { SetCaller(Caller{.uid = uid, .gid = gid}); }

  virtual int Open(const std::string& path, int flags, mode_t mode, int* fd) = 0;
  // A regular file without a name in the directory `path` (O_TMPFILE).
  virtual int OpenTemporary(const std::string& path, int flags, mode_t mode, int* fd) = 0;
  virtual int Close(int fd) = 0;
  virtual int Read(int fd, uint64_t offset, size_t size, std::string* data) = 0;
  virtual int Write(int fd, uint64_t offset, const std::string& data, size_t* written) = 0;
  virtual int Fsync(int fd, bool data_only) = 0;
  virtual int Fallocate(int fd, int mode, uint64_t offset, uint64_t length) = 0;
  virtual int Seek(int fd, uint64_t offset, int whence, uint64_t* at) = 0;
  virtual int CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length,
                        size_t* copied) = 0;
  virtual int FStat(int fd, Attributes* attributes) = 0;
  virtual int FTruncate(int fd, uint64_t size) = 0;
  virtual int FChmod(int fd, mode_t mode) = 0;
  virtual int FChown(int fd, uid_t uid, gid_t gid) = 0;
  virtual int FSetTimes(int fd, timespec atime, timespec mtime) = 0;
  virtual int FSetXattr(int fd, const std::string& name, const std::string& value, int flags) = 0;
  virtual int FGetXattr(int fd, const std::string& name, std::string* value) = 0;
  // Gives an open file a name.
  virtual int LinkOpen(int fd, const std::string& to) = 0;
  // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS.
  // Also of a directory stream.
  virtual int GetFlags(int fd, uint32_t* flags) = 0;
  virtual int SetFlags(int fd, uint32_t flags) = 0;
  // Kernel: through a shared mapping of the file.
  virtual int MapRead(int fd, uint64_t offset, size_t size, std::string* data) = 0;
  virtual int MapWrite(int fd, uint64_t offset, const std::string& data) = 0;
  // Kernel: flock(2), and a POSIX write lock on the whole file, of the descriptor's own (F_OFD_SETLK); never waits.
  virtual int Flock(int fd, int operation) = 0;
  virtual int OfdLock(int fd, bool lock) = 0;

  virtual int Stat(const std::string& path, Attributes* attributes) = 0;
  // Whether the caller may, as access(2) with the effective ids.
  virtual int Access(const std::string& path, int mode) = 0;
  virtual int Truncate(const std::string& path, uint64_t size) = 0;
  virtual int Chmod(const std::string& path, mode_t mode) = 0;
  virtual int Chown(const std::string& path, uid_t uid, gid_t gid) = 0;
  // tv_nsec may be UTIME_NOW or UTIME_OMIT.
  virtual int SetTimes(const std::string& path, timespec atime, timespec mtime) = 0;

  virtual int MkDir(const std::string& path, mode_t mode) = 0;
  virtual int MkNod(const std::string& path, mode_t mode, uint32_t major, uint32_t minor) = 0;
  virtual int SymLink(const std::string& target, const std::string& path) = 0;
  virtual int ReadLink(const std::string& path, std::string* target) = 0;
  virtual int Link(const std::string& from, const std::string& to) = 0;
  virtual int Unlink(const std::string& path) = 0;
  virtual int RmDir(const std::string& path) = 0;
  virtual int Rename(const std::string& from, const std::string& to, uint32_t flags) = 0;

  // A directory stream; its descriptor is for these calls only.
  virtual int OpenDir(const std::string& path, int* fd) = 0;
  // A small batch from `offset` on, which is 0 or the next_offset of an entry; none at the end.
  virtual int ReadDir(int fd, uint64_t offset, std::vector<DirEntry>* entries) = 0;
  virtual int FsyncDir(int fd) = 0;
  virtual int CloseDir(int fd) = 0;
  // All entries, "." and ".." included, in small batches; `between` (may be empty) runs after the first batch.
  int List(const std::string& path, const std::function<void()>& between, std::vector<DirEntry>* entries);

  virtual int SetXattr(const std::string& path, const std::string& name, const std::string& value, int flags) = 0;
  virtual int GetXattr(const std::string& path, const std::string& name, std::string* value) = 0;
  virtual int ListXattr(const std::string& path, std::vector<std::string>* names) = 0;
  virtual int RemoveXattr(const std::string& path, const std::string& name) = 0;
  virtual int StatFs(Capacity* capacity) = 0;
  virtual int Sync() = 0;
};

// What a case cannot do without.
enum Needs : unsigned {
  kNothing = 0,
  // A kernel between the caller and the file system, which checks permissions, descriptors, flags and lengths before
  // anything is asked of the file system (as Linux's FUSE client does), or caches pages and keeps locks.
  kKernel = 1,
};

struct Case {
  std::string name;
  std::function<void(Volume& v)> run;  // reports by gtest's EXPECT and ASSERT
  unsigned needs = kNothing;
};

// Every case starts on an empty volume and leaves nothing open.
const std::vector<Case>& AllCases();

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_VOLUME_H_
