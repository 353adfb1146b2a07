#include "control/ctl/top/layout.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/ctl/top/file_list.h"
#include "control/ctl/top/sections.h"

namespace daxvmm::control::top {
namespace {

void Append(Frame lines, Frame* frame) {
  frame->insert(frame->end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
}

Frame TooSmall(const Scene& scene, int rows, int columns) {
  Frame frame;
  const std::string lines[] = {absl::StrCat("This terminal has ", columns, "x", rows, ","),
                               absl::StrCat("but ", kMinColumns, "x", kMinRows, " are needed."), "q quits."};
  for (const std::string& line : lines) {
    if (static_cast<int>(frame.size()) < rows) frame.push_back(Line(columns, scene.charset).Add(line));
  }
  return frame;
}

// How many lines the map and its legend may take: a quarter of a small screen, more of a large one.
int MapRoom(int rows) { return rows < 14 ? 2 : rows < 30 ? rows / 4 + 1 : rows / 3; }

}  // namespace

Picture Layout(const Scene& scene, int rows, int columns) {
  Picture picture;
  Frame& frame = picture.frame;
  if (rows < kMinRows || columns < kMinColumns) {
    frame = TooSmall(scene, rows, columns);
  } else if (scene.view.help) {
    frame.push_back(MachineLine(scene, columns));
    Append(HelpLines(scene, rows - 1, columns), &frame);
  } else {
    frame.push_back(MachineLine(scene, columns));
    if (rows >= 14) frame.push_back(PolicyLine(scene, columns));
    if (rows >= 12) frame.push_back(SharesLine(scene, columns));
    frame.push_back(UseLine(scene, columns));
    if (rows >= 16) frame.push_back(RatesLine(scene, columns));
    if (rows >= 20) frame.push_back(TroubleLine(scene, columns));
    Append(MapLines(scene, MapRoom(rows), columns), &frame);
    frame.push_back(FollowingLine(scene, columns));
    const int left = rows - static_cast<int>(frame.size()) - 1;
    Append(FileLines(scene, left, columns, &picture.list), &frame);
    frame.resize(std::max<size_t>(frame.size(), rows - 1), Line(columns, scene.charset));
    frame.push_back(FooterLine(scene, columns));
  }
  frame.resize(rows, Line(columns, scene.charset));
  return picture;
}

}  // namespace daxvmm::control::top
