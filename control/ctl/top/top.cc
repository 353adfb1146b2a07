#include "control/ctl/top/top.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "base/event_fd.h"
#include "base/status.h"
#include "control/ctl/top/layout.h"
#include "control/ctl/top/poller.h"
#include "control/ctl/top/screen.h"
#include "control/ctl/top/terminal_signals.h"

namespace daxvmm::control::top {
namespace {

// For calls that can be cancelled to return; a user does not notice it.
constexpr absl::Duration kPatience = absl::Milliseconds(300);
constexpr int kFilesAtLeast = 100;
constexpr int kFilesAtMost = 10000;

class Session {
 public:
  Session(const TopOptions& options, const TerminalSignals& signals, Screen* screen)
      : options_(options), signals_(signals), screen_(screen), share_(options.share) {
    view_.interval = options.interval;
  }

  Questions MakeQuestions() const {
    // In steps, so that scrolling by a line does not ask anew each time.
    const int needed = (view_.scroll + 2 * screen_->rows()) / kFilesAtLeast * kFilesAtLeast + kFilesAtLeast;
    return {.share = share_,
            .order = view_.order,
            .files = static_cast<uint32_t>(std::min(needed, kFilesAtMost)),
            .interval = view_.interval,
            .paused = view_.paused};
  }

  // Until the user quits, or a signal ends the program: then that one.
  std::optional<int> Run(const EventFd& changed, Poller* poller) {
    pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {changed.fd(), POLLIN, 0}};
    while (true) {
      Draw(poller->Get());
      // The clock in the corner moves once a second.
      const int64_t to_next_second = 1000 - absl::ToUnixMillis(absl::Now()) % 1000;
      if (poll(ready, std::size(ready), static_cast<int>(to_next_second)) < 0 && errno != EINTR) return std::nullopt;
      changed.Drain();
      while (const auto signal = signals_.Next()) {
        if (Ends(*signal)) return signal;
      }
      while (const auto key = screen_->NextKey()) Press(*key, poller);
      // A terminal that is gone reads as ready for ever.
      if (view_.quit || (ready[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return std::nullopt;
    }
  }

 private:
  void Draw(const Report& report) {
    // While paused what is shown stands still, but for an answer that was asked for.
    model_.Take(report.snapshot);
    const Scene scene{.machine = options_.machine,
                      .model = &model_,
                      .following = report.following,
                      .connection = report.connection,
                      .view = view_,
                      .now = absl::Now(),
                      .zone = absl::LocalTimeZone(),
                      .charset = LocaleCharset()};
    const Picture picture = Layout(scene, screen_->rows(), screen_->columns());
    list_ = picture.list;
    screen_->Draw(picture.frame);
  }

  void Press(Key key, Poller* poller) {
    const bool help = view_.help;
    Apply(key, list_, &view_);
    if (key == Key::kRedraw) screen_->Forget();
    if (help) return;
    if (key == Key::kNextShare) share_ = model_.ShareAfter(1);
    if (key == Key::kPreviousShare) share_ = model_.ShareAfter(-1);
    poller->Ask(MakeQuestions());
    if (key == Key::kRefresh) poller->Refresh();
  }

  // True if the program is to end.
  bool Ends(int signal) {
    switch (signal) {
      case SIGWINCH:
        screen_->Resize();
        return false;
      case SIGCONT:
        // Whoever stopped us (kill -STOP) did not let us leave the screen.
        screen_->Return();
        return false;
      case SIGTSTP:
        screen_->Leave();
        signals_.Raise(SIGTSTP);
        screen_->Return();
        return false;
      default:
        return true;
    }
  }

  const TopOptions& options_;
  const TerminalSignals& signals_;
  Screen* const screen_;
  std::string share_;  // wanted; the snapshot's may still be another
  View view_;
  Model model_;
  ListExtent list_;
};

}  // namespace

absl::Status RunTop(const TopOptions& options, std::unique_ptr<Client> client,
                    std::function<absl::StatusOr<std::unique_ptr<Client>>()> connect) {
  std::setlocale(LC_CTYPE, "");
  ASSIGN_OR_RETURN(const TerminalSignals signals, TerminalSignals::Catch());
  // Of the poller's threads too.
  ASSIGN_OR_RETURN(EventFd event, EventFd::Create());
  const auto changed = std::make_shared<const EventFd>(std::move(event));
  const ConnectFunction connect_source = [connect = std::move(connect)]() -> absl::StatusOr<std::unique_ptr<Source>> {
    ASSIGN_OR_RETURN(std::unique_ptr<Client> made, connect());
    return NewClientSource(std::move(made));
  };
  std::optional<int> signal;
  bool ended = false;
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Screen> screen, Screen::Create());
    Session session(options, signals, screen.get());
    Poller poller(NewClientSource(std::move(client)), connect_source, session.MakeQuestions(),
                  [changed] { changed->Signal(); });
    signal = session.Run(*changed, &poller);
    ended = poller.Stop(kPatience);
  }
  if (signal) signals.Raise(*signal);
  if (!ended) _exit(0);
  return absl::OkStatus();
}

}  // namespace daxvmm::control::top
