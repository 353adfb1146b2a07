#include "tests/linux/machine.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "tests/linux/guest/pattern.h"

ABSL_FLAG(std::string, daxvmm, "", "the daxvmm program");
ABSL_FLAG(std::string, kernel, "", "the guest's kernel");
ABSL_FLAG(std::string, initrd, "", "the guest's initramfs, as scripts/lib/with-kvm makes it");
ABSL_FLAG(std::string, workdir, "", "an existing directory for shares and sockets");
ABSL_FLAG(std::string, ext4_dir, "", "a writable directory on ext4; without it what needs one is skipped");
ABSL_FLAG(std::string, rootfs, "", "a Debian tree, to be changed; without it what needs one is skipped");

namespace daxvmm::linux_test {
namespace {

constexpr absl::Duration kControlDeadline = absl::Seconds(60);
// Many times the attribute timeout of a second, for a machine that is emulated.
constexpr absl::Duration kNoticeDeadline = absl::Seconds(60);
constexpr absl::Duration kPollInterval = absl::Milliseconds(50);

absl::Status CheckPath(const char* flag, const std::string& value) {
  if (value.empty()) return absl::InvalidArgumentError(absl::StrCat("--", flag, " is needed"));
  if (access(value.c_str(), R_OK) != 0) return ErrnoStatus(errno, absl::StrCat("--", flag, ": ", value));
  return absl::OkStatus();
}

// Of daxtool's "NAME size=N dax=D".
bool ParseStatx(const std::string& line, uint64_t* size, bool* dax) {
  const size_t size_at = line.rfind(" size=");
  const size_t dax_at = line.rfind(" dax=");
  if (size_at == std::string::npos || dax_at == std::string::npos || dax_at < size_at) return false;
  *dax = line.substr(dax_at + 5) == "1";
  return absl::SimpleAtoi(line.substr(size_at + 6, dax_at - size_at - 6), size);
}

}  // namespace

absl::StatusOr<Environment> EnvironmentFromFlags() {
  Environment environment;
  environment.daxvmm = absl::GetFlag(FLAGS_daxvmm);
  environment.kernel = absl::GetFlag(FLAGS_kernel);
  environment.initrd = absl::GetFlag(FLAGS_initrd);
  environment.workdir = absl::GetFlag(FLAGS_workdir);
  environment.ext4_dir = absl::GetFlag(FLAGS_ext4_dir);
  RETURN_IF_ERROR(CheckPath("daxvmm", environment.daxvmm));
  RETURN_IF_ERROR(CheckPath("kernel", environment.kernel));
  RETURN_IF_ERROR(CheckPath("initrd", environment.initrd));
  RETURN_IF_ERROR(CheckPath("workdir", environment.workdir));
  if (!environment.ext4_dir.empty()) RETURN_IF_ERROR(CheckPath("ext4_dir", environment.ext4_dir));
  environment.rootfs = absl::GetFlag(FLAGS_rootfs);
  if (!environment.rootfs.empty()) RETURN_IF_ERROR(CheckPath("rootfs", environment.rootfs));
  return environment;
}

absl::StatusOr<Machine> BootMachine(const Environment& environment, GuestOptions options) {
  ASSIGN_OR_RETURN(Machine machine, StartMachine(environment, std::move(options)));
  RETURN_IF_ERROR(machine.guest->AwaitReady());
  return machine;
}

absl::StatusOr<Machine> StartMachine(const Environment& environment, GuestOptions options) {
  options.daxvmm = environment.daxvmm;
  options.kernel = environment.kernel;
  options.initrd = environment.initrd;
  options.control_socket = absl::StrCat(environment.workdir, "/control-", getpid());
  Machine machine;
  ASSIGN_OR_RETURN(machine.guest, LinuxGuest::Start(options));
  // The server may come up after the guest.
  const absl::Time until = absl::Now() + kControlDeadline;
  for (;;) {
    absl::StatusOr<std::unique_ptr<control::Client>> client =
        control::Client::Connect(options.control_socket, kControlDeadline);
    if (client.ok()) {
      machine.control = *std::move(client);
      machine.control_socket = options.control_socket;
      return machine;
    }
    if (absl::Now() >= until) return client.status();
    absl::SleepFor(kPollInterval);
  }
}

absl::StatusOr<HostResult> RunDaxvmmctl(const Environment& environment, const Machine& machine,
                                        const std::string& arguments) {
  const std::string program =
      absl::StrCat(environment.daxvmm.substr(0, environment.daxvmm.rfind('/') + 1), "daxvmmctl");
  if (access(program.c_str(), X_OK) != 0) return ErrnoStatus(errno, program);
  const std::string line = absl::StrCat(program, " --control ", machine.control_socket, " ", arguments, " 2>&1");
  FILE* const pipe = popen(line.c_str(), "re");
  if (pipe == nullptr) return ErrnoStatus(errno, "popen");
  HostResult result;
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) result.output.append(buffer, got);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

absl::StatusOr<std::optional<v1::LiveFile>> FindFile(Machine& machine, const std::string& tag,
                                                     const std::string& path) {
  ASSIGN_OR_RETURN(v1::ListFilesResponse list, machine.control->ListFiles(tag));
  for (const v1::LiveFile& file : list.files()) {
    if (file.path() == path) return std::optional<v1::LiveFile>(file);
  }
  return std::optional<v1::LiveFile>();
}

absl::StatusOr<v1::Window> WindowOf(Machine& machine, const std::string& tag) {
  ASSIGN_OR_RETURN(v1::GetWindowResponse response, machine.control->GetWindow(tag));
  if (response.windows_size() != 1) return absl::InternalError("GetWindow: not one window for one share");
  return response.windows(0);
}

absl::Status WriteFile(const std::string& path, uint64_t size) {
  UniqueFd fd(open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  std::string page(4096, '\0');
  for (uint64_t offset = 0; offset < size; offset += page.size()) {
    for (size_t i = 0; i < page.size(); ++i) page[i] = static_cast<char>(PatternByte(offset + i));
    const size_t length = std::min<uint64_t>(page.size(), size - offset);
    if (write(fd.get(), page.data(), length) != static_cast<ssize_t>(length)) return ErrnoStatus(errno, path);
  }
  return absl::OkStatus();
}

absl::Status ReadInGuest(Machine& machine, const std::string& guest_path, const std::string& host_path) {
  UniqueFd fd(open(host_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, host_path);
  std::vector<uint8_t> buffer(1 << 16);
  uint64_t size = 0;
  uint64_t sum = 0;  // as daxtool.c defines it
  for (;;) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) return ErrnoStatus(errno, host_path);
    if (got == 0) break;
    for (ssize_t i = 0; i < got; ++i) sum += buffer[static_cast<size_t>(i)] * ++size;
  }
  const std::string expected = absl::StrCat(guest_path, " bytes=", size, " sum=", sum);
  ASSIGN_OR_RETURN(std::string seen, machine.guest->Check(absl::StrCat("daxtool read ", guest_path)));
  if (seen != expected) return absl::DataLossError(absl::StrCat("the guest read '", seen, "', not '", expected, "'"));
  return absl::OkStatus();
}

absl::StatusOr<FileView> Observe(Machine& machine, const std::string& path, const std::string& tag,
                                 const std::string& mount_point) {
  FileView view;
  ASSIGN_OR_RETURN(std::string line, machine.guest->Check(absl::StrCat("daxtool statx ", mount_point, "/", path)));
  if (!ParseStatx(line, &view.guest_size, &view.guest_dax)) {
    return absl::InternalError(absl::StrCat("daxtool answered: ", line));
  }
  ASSIGN_OR_RETURN(std::optional<v1::LiveFile> file, FindFile(machine, tag, path));
  if (!file.has_value()) return absl::NotFoundError(absl::StrCat("ListFiles has no ", path, " in share ", tag));
  view.host = *std::move(file);
  return view;
}

absl::Status WaitForDax(Machine& machine, const std::string& path, bool dax, const std::string& mount_point) {
  const absl::Time until = absl::Now() + kNoticeDeadline;
  const std::string command = absl::StrCat("daxtool statx ", mount_point, "/", path);
  for (;;) {
    ASSIGN_OR_RETURN(std::string line, machine.guest->Check(command));
    uint64_t size = 0;
    bool seen = false;
    if (!ParseStatx(line, &size, &seen)) return absl::InternalError(absl::StrCat("daxtool answered: ", line));
    if (seen == dax) return absl::OkStatus();
    if (absl::Now() >= until) {
      return absl::DeadlineExceededError(
          absl::StrCat("waited in vain for the guest to see ", path, dax ? " with" : " without", " STATX_ATTR_DAX"));
    }
    absl::SleepFor(kPollInterval);
  }
}

}  // namespace daxvmm::linux_test
