#include "control/ctl/top/screen.h"

// Wide characters; and functions, whose names as macros would break everything else.
#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include <ncurses.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cwchar>
#include <iterator>
#include <string>

namespace daxvmm::control::top {
namespace {

// Colour pairs: the fixed inks, then those of files.
constexpr short kFirstFilePair = 10;
// Told apart well on black and on white, neighbours more than others: of the 256 colours, and of the 8.
constexpr short kFileColors256[] = {33,  208, 40,  201, 220, 51,  196, 141, 118, 213, 30,  178, 63,
                                    166, 48,  171, 142, 39,  203, 99,  106, 199, 73,  136, 69,  209};
constexpr short kFileColors8[] = {COLOR_CYAN, COLOR_YELLOW, COLOR_GREEN, COLOR_MAGENTA, COLOR_BLUE, COLOR_RED};

// Returns how many colours files have.
int StartColors() {
  start_color();
  use_default_colors();
  init_pair(static_cast<short>(Ink::kGood), COLOR_GREEN, -1);
  init_pair(static_cast<short>(Ink::kNotice), COLOR_YELLOW, -1);
  init_pair(static_cast<short>(Ink::kBad), COLOR_RED, -1);
  init_pair(static_cast<short>(Ink::kTitle), COLOR_CYAN, -1);
  const bool many = COLORS >= 256 && COLOR_PAIRS > kFirstFilePair + static_cast<int>(std::size(kFileColors256));
  const int inks = static_cast<int>(many ? std::size(kFileColors256) : std::size(kFileColors8));
  for (int i = 0; i < inks; ++i) {
    init_pair(static_cast<short>(kFirstFilePair + i), (many ? kFileColors256 : kFileColors8)[i], -1);
  }
  return inks;
}

std::wstring Wide(const std::string& text) {
  std::wstring wide(text.size(), L'\0');
  const char* from = text.c_str();
  std::mbstate_t state{};
  const size_t length = std::mbsrtowcs(wide.data(), &from, wide.size(), &state);
  // Printable() leaves nothing that the locale does not know.
  wide.resize(length == static_cast<size_t>(-1) ? 0 : length);
  return wide;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Screen>> Screen::Create() {
  std::unique_ptr<Screen> screen(new Screen());
  if (newterm(nullptr, stdout, stdin) == nullptr) {
    return absl::InvalidArgumentError("top: the terminal cannot be used");
  }
  if (isatty(STDERR_FILENO) == 1) {
    screen->kept_back_ = UniqueFd(memfd_create("stderr", MFD_CLOEXEC));
    if (screen->kept_back_.valid()) {
      screen->standard_error_ = UniqueFd(dup(STDERR_FILENO));
      dup2(screen->kept_back_.get(), STDERR_FILENO);
    }
  }
  cbreak();
  noecho();
  nonl();
  curs_set(0);
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(25);
  // NO_COLOR: see no-color.org.
  const char* const no_color = std::getenv("NO_COLOR");
  screen->has_color_ = has_colors() && (no_color == nullptr || *no_color == '\0');
  if (screen->has_color_) screen->inks_ = StartColors();
  return screen;
}

Screen::~Screen() {
  endwin();
  if (!standard_error_.valid()) return;
  dup2(standard_error_.get(), STDERR_FILENO);
  constexpr off_t kMost = 16384;
  const off_t length = lseek(kept_back_.get(), 0, SEEK_END);
  std::string text(std::min(length, kMost), '\0');
  const ssize_t got = pread(kept_back_.get(), text.data(), text.size(), length - static_cast<off_t>(text.size()));
  if (got > 0) [[maybe_unused]]
    const ssize_t written = write(STDERR_FILENO, text.data(), got);
}

int Screen::rows() const { return getmaxy(stdscr); }
int Screen::columns() const { return getmaxx(stdscr); }

void Screen::Draw(const Frame& frame) {
  werase(stdscr);
  for (int row = 0; row < static_cast<int>(frame.size()); ++row) {
    wmove(stdscr, row, 0);
    for (const Span& span : frame[row].spans()) {
      attr_t attributes = A_NORMAL;
      if (span.style.bold) attributes |= A_BOLD;
      if (span.style.reverse) attributes |= A_REVERSE;
      if (span.style.ink == Ink::kFaint) attributes |= A_DIM;
      short pair = 0;
      if (has_color_ && span.style.ink == Ink::kFile) {
        pair = static_cast<short>(kFirstFilePair + span.style.letter % inks_);
      } else if (has_color_ && span.style.ink != Ink::kPlain && span.style.ink != Ink::kFaint) {
        pair = static_cast<short>(span.style.ink);
      }
      wattr_set(stdscr, attributes, pair, nullptr);
      const std::wstring wide = Wide(span.text);
      waddnwstr(stdscr, wide.c_str(), static_cast<int>(wide.size()));
    }
  }
  wattr_set(stdscr, A_NORMAL, 0, nullptr);
  wrefresh(stdscr);
}

std::optional<Key> Screen::NextKey() {
  while (true) {
    const int got = wgetch(stdscr);
    switch (got) {
      case ERR:
        return std::nullopt;
      case KEY_UP:
        return Key::kUp;
      case KEY_DOWN:
        return Key::kDown;
      case KEY_PPAGE:
        return Key::kPageUp;
      case KEY_NPAGE:
        return Key::kPageDown;
      case KEY_HOME:
        return Key::kHome;
      case KEY_END:
        return Key::kEnd;
      case KEY_RIGHT:
        return Key::kNextShare;
      case KEY_LEFT:
      case KEY_BTAB:
        return Key::kPreviousShare;
      default:
        if (got >= 0 && got < 0x80) {
          if (const auto key = KeyOf(static_cast<char>(got))) return key;
        }
    }
  }
}

void Screen::Resize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  resizeterm(size.ws_row, size.ws_col);
}

void Screen::Forget() {
  reset_prog_mode();
  clearok(curscr, TRUE);
}

void Screen::Leave() {
  def_prog_mode();
  endwin();
}

void Screen::Return() {
  reset_prog_mode();
  Resize();
  clearok(curscr, TRUE);
  wrefresh(stdscr);
}

}  // namespace daxvmm::control::top
