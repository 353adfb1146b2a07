#include "control/ctl/top/view.h"

#include <algorithm>
#include <iterator>

namespace daxvmm::control::top {
namespace {

constexpr v1::ListFilesRequest::Order kOrders[] = {
    v1::ListFilesRequest::ORDER_MAPPED_CHUNKS, v1::ListFilesRequest::ORDER_READS,
    v1::ListFilesRequest::ORDER_SETUP_MAPPINGS, v1::ListFilesRequest::ORDER_SIZE};

constexpr double kIntervals[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60};

v1::ListFilesRequest::Order Step(v1::ListFilesRequest::Order order, size_t steps) {
  const size_t at = std::find(std::begin(kOrders), std::end(kOrders), order) - std::begin(kOrders);
  return kOrders[(at + steps) % std::size(kOrders)];
}

// The next of kIntervals below or above.
absl::Duration Faster(absl::Duration interval) {
  const auto at = std::lower_bound(std::begin(kIntervals), std::end(kIntervals), absl::ToDoubleSeconds(interval));
  return absl::Seconds(at == std::begin(kIntervals) ? kIntervals[0] : *std::prev(at));
}

absl::Duration Slower(absl::Duration interval) {
  const auto at = std::upper_bound(std::begin(kIntervals), std::end(kIntervals), absl::ToDoubleSeconds(interval));
  return absl::Seconds(at == std::end(kIntervals) ? *std::prev(at) : *at);
}

}  // namespace

std::optional<Key> KeyOf(char character) {
  switch (character) {
    case 'q':
    case 'Q':
      return Key::kQuit;
    case ' ':
      return Key::kPause;
    case 's':
      return Key::kSort;
    case 'S':
      return Key::kSortBack;
    case 'n':
    case '\t':
      return Key::kNextShare;
    case 'p':
      return Key::kPreviousShare;
    case 'k':
      return Key::kUp;
    case 'j':
      return Key::kDown;
    case 'g':
      return Key::kHome;
    case 'G':
      return Key::kEnd;
    case '?':
    case 'h':
      return Key::kHelp;
    case '\x1b':
      return Key::kEscape;
    case 'r':
      return Key::kRefresh;
    case '+':
    case '=':
      return Key::kSlower;
    case '-':
      return Key::kFaster;
    case '\f':
      return Key::kRedraw;
    default:
      return std::nullopt;
  }
}

std::string OrderName(v1::ListFilesRequest::Order order) {
  switch (order) {
    case v1::ListFilesRequest::ORDER_READS:
      return "reads";
    case v1::ListFilesRequest::ORDER_SETUP_MAPPINGS:
      return "maps";
    case v1::ListFilesRequest::ORDER_SIZE:
      return "size";
    case v1::ListFilesRequest::ORDER_MAPPED_CHUNKS:
      return "chunks";
    default:
      return "path";
  }
}

int ClampScroll(int scroll, const ListExtent& list) {
  return std::clamp(scroll, 0, std::max(0, list.files - list.rows));
}

void Apply(Key key, const ListExtent& list, View* view) {
  if (key == Key::kQuit) {
    view->quit = true;
    return;
  }
  if (view->help) {
    view->help = false;
    return;
  }
  const int page = std::max(1, list.rows - 1);
  switch (key) {
    case Key::kPause:
      view->paused = !view->paused;
      break;
    case Key::kSort:
    case Key::kSortBack:
      view->order = Step(view->order, key == Key::kSort ? 1 : std::size(kOrders) - 1);
      view->scroll = 0;
      break;
    case Key::kNextShare:
    case Key::kPreviousShare:
      view->scroll = 0;
      break;
    case Key::kUp:
      view->scroll = ClampScroll(view->scroll - 1, list);
      break;
    case Key::kDown:
      view->scroll = ClampScroll(view->scroll + 1, list);
      break;
    case Key::kPageUp:
      view->scroll = ClampScroll(view->scroll - page, list);
      break;
    case Key::kPageDown:
      view->scroll = ClampScroll(view->scroll + page, list);
      break;
    case Key::kHome:
      view->scroll = 0;
      break;
    case Key::kEnd:
      view->scroll = ClampScroll(list.files, list);
      break;
    case Key::kHelp:
      view->help = true;
      break;
    case Key::kFaster:
      view->interval = Faster(view->interval);
      break;
    case Key::kSlower:
      view->interval = Slower(view->interval);
      break;
    case Key::kQuit:
    case Key::kEscape:
    case Key::kRefresh:
    case Key::kRedraw:
      break;
  }
}

}  // namespace daxvmm::control::top
