// The help that lies over the screen.
#include <algorithm>
#include <iterator>
#include <string>

#include "control/ctl/top/sections.h"

namespace daxvmm::control::top {
namespace {

constexpr int kHalf = 39;

struct Row {
  const char* key;
  const char* meaning;
};

constexpr Row kKeys[] = {
    {"q", "quit"},
    {"space", "stop asking, and go on"},
    {"s S", "sort by the next column, or the last"},
    {"n tab", "next share"},
    {"p", "share before"},
    {"arrows", "scroll; page keys, home, end too"},
    {"r", "ask the server now"},
    {"+ -", "ask less often, or more often"},
    {"^L", "draw everything anew"},
    {"?", "this help; any key takes it away"},
};
constexpr Row kSigns[] = {
    {"A a", "this file, at least or below half"},
    {"# +", "another file, the same"},
    {".", "free"},
    {"yes*", "an override decides"},
    {"TOLD", "what the guest was told"},
    {"CHUNKS", "2 MiB ranges mapped now"},
    {"READS", "FUSE_READ since it came to life"},
    {"MAPS", "SETUPMAPPING since then"},
    {">", "the list is sorted by this"},
    {"1 2 3/s", "rates over 1, 10 and 60 s"},
};

void Add(const Row& row, int column, Line* line) {
  line->GoTo(column + 1).Add(row.key, {.bold = true}).GoTo(column + 9);
  line->Add(row.meaning);
}

}  // namespace

Frame HelpLines(const Scene& scene, int rows, int columns) {
  Frame frame;
  const auto full = [&] { return static_cast<int>(frame.size()) >= rows; };
  const auto begin = [&]() -> Line& {
    frame.emplace_back(columns, scene.charset);
    return frame.back();
  };
  const bool side_by_side = columns >= 2 * kHalf;
  if (rows > static_cast<int>(std::size(kKeys)) + 2) begin().Add("Keys and signs", {.ink = Ink::kTitle, .bold = true});
  for (size_t i = 0; i < std::size(kKeys) && !full(); ++i) {
    Line& line = begin();
    Add(kKeys[i], 0, &line);
    if (side_by_side) Add(kSigns[i], kHalf + 1, &line);
  }
  for (size_t i = 0; i < std::size(kSigns) && !side_by_side && !full(); ++i) Add(kSigns[i], 0, &begin());
  if (rows - static_cast<int>(frame.size()) >= 5) {
    begin();
    begin().Add(" guest: how far it has followed the policy, all shares together.");
    begin().Add(" # converged  + next use  ~ cached  o held open  h still held  ? unknown");
    begin().Add(" `daxvmmctl files --help` explains the states.");
  }
  return frame;
}

static_assert(std::size(kKeys) == std::size(kSigns), "they stand side by side");

}  // namespace daxvmm::control::top
