#include "control/policy_file_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/event_fd.h"
#include "base/log.h"
#include "base/named_thread.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "control/path_hops.h"
#include "control/policy_file.h"

namespace daxvmm::control {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE |
                             IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// A writer that has the file open for longer than this without writing is no longer waited for.
constexpr std::chrono::seconds kWriterPatience(10);

// Looks to wait for before a policy that could not be taken is offered again.
constexpr int kTakeAgain = 5;

// What tells one state of the file from another, short of reading it. Zeroes: it cannot be statted.
struct Signature {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  timespec modified{};
  timespec changed{};

  static Signature Of(const std::string& path) {
    struct stat st{};
    if (stat(path.c_str(), &st) != 0) return {};
    return {st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
  }
  bool operator==(const Signature& other) const {
    const auto same = [](const timespec& a, const timespec& b) {
      return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
    };
    return device == other.device && inode == other.inode && size == other.size && same(modified, other.modified) &&
           same(changed, other.changed);
  }
};

absl::StatusOr<std::string> Absolute(const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  char folder[PATH_MAX];
  if (getcwd(folder, sizeof(folder)) == nullptr) return ErrnoStatus(errno, "the working folder");
  return absl::StrCat(folder, "/", path);
}

}  // namespace

class PolicyFileWatch::Watcher {
 public:
  Watcher(Options options, std::string absolute, UniqueFd inotify, EventFd stop)
      : options_(std::move(options)),
        absolute_(std::move(absolute)),
        inotify_(std::move(inotify)),
        stop_(std::move(stop)),
        taken_(std::move(options_.known_content)) {}
  ~Watcher() {
    stop_.Signal();
    thread_.Join();
  }

  void StartThread() {
    thread_ = NamedThread("policy-file", [this] { Run(); });
  }

 private:
  void Run();
  void Arm();
  void ReadEvents();
  void HearEvent(const inotify_event& event);
  bool WriterAtWork() const;
  void LookAgain();
  void Load();
  void Fail(const absl::Status& error);

  const Options options_;
  const std::string absolute_;
  const UniqueFd inotify_;
  const EventFd stop_;

  // The thread's own.
  std::vector<PathHop> hops_;
  std::map<int, std::string> folders_;           // by watch descriptor
  bool rearm_ = false;                           // some hop may lead elsewhere now
  std::optional<Clock::time_point> due_;         // when to load
  std::optional<Clock::time_point> last_write_;  // set while a writer has not closed the file that it writes
  Signature loaded_;                             // when it was read last
  Signature seen_;                               // at the last look
  std::string taken_;                            // the content in force
  std::string failed_;                           // the error that was reported last; empty: none
  NamedThread thread_;
};

void PolicyFileWatch::Watcher::Run() {
  Arm();
  Load();
  auto next_look = Clock::now() + options_.poll;
  for (;;) {
    const auto next = due_ ? std::min(*due_, next_look) : next_look;
    const auto wait = std::max(std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()), {});
    pollfd fds[2] = {{.fd = stop_.fd(), .events = POLLIN, .revents = 0},
                     {.fd = inotify_.get(), .events = POLLIN, .revents = 0}};
    if (poll(fds, 2, static_cast<int>(wait.count())) < 0 && errno != EINTR) {
      LOG(kError) << options_.path << ": not watched any more: poll: " << strerror(errno);
      return;
    }
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0) ReadEvents();
    if (rearm_) Arm();
    const auto now = Clock::now();
    if (due_ && now >= *due_) {
      if (WriterAtWork()) {
        due_ = *last_write_ + kWriterPatience;
      } else {
        Load();
      }
    }
    if (now >= next_look) {
      LookAgain();
      next_look = now + options_.poll;
    }
  }
}

// Watches the folder of every hop. A folder that changes while the path is followed is noticed: its watch stands before
// the path is followed again.
void PolicyFileWatch::Watcher::Arm() {
  rearm_ = false;
  constexpr int kAttempts = 8;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::vector<PathHop> hops = FollowPath(absolute_);
    std::map<int, std::string> folders;
    for (const PathHop& hop : hops) {
      const int watch = inotify_add_watch(inotify_.get(), hop.folder.c_str(), kEvents);
      // Out of watches, or the folder is gone: looking again and again does it, if slowly.
      if (watch >= 0) folders[watch] = hop.folder;
    }
    for (const auto& [watch, folder] : folders_) {
      if (!folders.contains(watch)) inotify_rm_watch(inotify_.get(), watch);
    }
    folders_ = std::move(folders);
    const bool same = hops == hops_;
    hops_ = std::move(hops);
    if (same) return;
  }
}

void PolicyFileWatch::Watcher::ReadEvents() {
  alignas(inotify_event) char buffer[4096];
  for (;;) {
    const ssize_t length = read(inotify_.get(), buffer, sizeof(buffer));
    if (length <= 0) return;
    for (ssize_t at = 0; at < length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      HearEvent(*event);
      at += static_cast<ssize_t>(sizeof(inotify_event)) + event->len;
    }
  }
}

void PolicyFileWatch::Watcher::HearEvent(const inotify_event& event) {
  const auto now = Clock::now();
  if ((event.mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) {
    // IN_IGNORED comes for watches that were removed by Arm, too.
    if ((event.mask & IN_IGNORED) != 0 && !folders_.contains(event.wd)) return;
    if ((event.mask & IN_IGNORED) != 0) folders_.erase(event.wd);
    rearm_ = true;
    due_ = now + options_.settle;
    return;
  }
  const auto folder = folders_.find(event.wd);
  if (folder == folders_.end() || event.len == 0) return;
  const PathHop hop{folder->second, event.name};
  const auto at = std::find(hops_.begin(), hops_.end(), hop);
  if (at == hops_.end()) return;
  if ((event.mask & (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) {
    rearm_ = true;
    last_write_.reset();  // whoever wrote the old file does not matter for the new one
    // Just made by open(2): its writer will close it. A link, of either kind, is complete.
    struct stat st{};
    const std::string path = absl::StrCat(hop.folder, "/", hop.name);
    if ((event.mask & IN_CREATE) != 0 && lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
      last_write_ = now;
    }
  }
  if ((event.mask & IN_MODIFY) != 0) last_write_ = now;
  if ((event.mask & IN_CLOSE_WRITE) != 0) last_write_.reset();
  due_ = now + options_.settle;
}

bool PolicyFileWatch::Watcher::WriterAtWork() const {
  return last_write_ && Clock::now() - *last_write_ < kWriterPatience;
}

// For what inotify does not tell: network file systems, stores through a mapping, a folder further up that was renamed.
void PolicyFileWatch::Watcher::LookAgain() {
  const Signature now = Signature::Of(absolute_);
  const bool quiet = now == seen_;
  seen_ = now;
  if (now == loaded_) return;
  Arm();
  if (quiet && !WriterAtWork()) Load();
}

void PolicyFileWatch::Watcher::Load() {
  due_.reset();
  loaded_ = seen_ = Signature::Of(absolute_);
  auto text = ReadPolicyFile(absolute_);
  if (!text.ok()) {
    if (text.status().code() == absl::StatusCode::kAborted) {
      due_ = Clock::now() + options_.settle;
      return;
    }
    Fail(text.status());
    return;
  }
  if (*text != taken_) {
    const auto policy = options_.parse(*text);
    const absl::Status status = policy.ok() ? options_.take(*policy) : policy.status();
    if (!status.ok()) {
      Fail(status);
      // No fault of the file: it may be taken later, as it is.
      if (absl::IsUnavailable(status)) due_ = Clock::now() + kTakeAgain * options_.poll;
      return;
    }
    taken_ = *std::move(text);
  }
  if (failed_.empty()) return;
  failed_.clear();
  LOG(kWarning) << options_.path << ": is good again";
  options_.report(absl::OkStatus());
}

void PolicyFileWatch::Watcher::Fail(const absl::Status& error) {
  const std::string message(error.message());
  if (message == failed_) return;
  failed_ = message;
  LOG_LIMITED(kWarning) << message << "; the policy in force stays";
  options_.report(error);
}

absl::StatusOr<std::unique_ptr<PolicyFileWatch>> PolicyFileWatch::Start(Options options) {
  ASSIGN_OR_RETURN(std::string absolute, Absolute(options.path));
  UniqueFd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) return ErrnoStatus(errno, absl::StrCat(options.path, ": cannot be watched"));
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  auto watcher =
      std::make_unique<Watcher>(std::move(options), std::move(absolute), std::move(inotify), std::move(stop));
  watcher->StartThread();
  return std::unique_ptr<PolicyFileWatch>(new PolicyFileWatch(std::move(watcher)));
}

PolicyFileWatch::PolicyFileWatch(std::unique_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
PolicyFileWatch::~PolicyFileWatch() = default;

}  // namespace daxvmm::control
