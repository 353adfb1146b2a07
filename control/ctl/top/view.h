// What the user has chosen to see, and the keys that change it. Pure.
#ifndef DAXVMM_CONTROL_CTL_TOP_VIEW_H_
#define DAXVMM_CONTROL_CTL_TOP_VIEW_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control::top {

enum class Key {
  kQuit,
  kPause,
  kSort,
  kSortBack,
  kNextShare,
  kPreviousShare,
  kUp,
  kDown,
  kPageUp,
  kPageDown,
  kHome,
  kEnd,
  kHelp,
  kEscape,
  kRefresh,
  kFaster,
  kSlower,
  kRedraw,
};

// What an ordinary character means; nullopt for one without a meaning. Arrows and their like are the screen's matter.
std::optional<Key> KeyOf(char character);

struct View {
  v1::ListFilesRequest::Order order = v1::ListFilesRequest::ORDER_MAPPED_CHUNKS;
  absl::Duration interval = absl::Seconds(1);
  int scroll = 0;  // the first file that is shown
  bool help = false;
  bool paused = false;
  bool quit = false;
};

// "chunks", "reads": the column that the files are sorted by.
std::string OrderName(v1::ListFilesRequest::Order order);

// Of the file list as it is on the screen.
struct ListExtent {
  int rows = 0;   // that there is room for
  int files = 0;  // that there are
};

// The keys that concern the view alone; kNextShare, kPreviousShare, kRefresh and kRedraw change nothing here. While the
// help is shown any key but kQuit takes it away.
void Apply(Key key, const ListExtent& list, View* view);

// Within what there is.
int ClampScroll(int scroll, const ListExtent& list);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_VIEW_H_
