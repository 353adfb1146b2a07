// The window's map on the screen.
#include <cctype>

#include "absl/strings/str_cat.h"
#include "base/size_text.h"
#include "control/ctl/top/figures.h"
#include "control/ctl/top/sections.h"
#include "control/ctl/top/window_map.h"

namespace daxvmm::control::top {
namespace {

constexpr Style kFaint{.ink = Ink::kFaint};
// "  1.5G ", in front of each row.
constexpr int kOffsetColumns = 8;

Line Row(const Scene& scene, const WindowMap& map, int row, int columns) {
  Line line(columns, scene.charset);
  line.Add(Fit(CompactSize(map.RowStart(row).raw()), kOffsetColumns - 2, Align::kRight, scene.charset), kFaint);
  line.Add("  ");
  const size_t first = static_cast<size_t>(row) * map.cells_per_row;
  for (size_t i = first; i < first + map.cells_per_row && i < map.cells.size(); ++i) {
    const MapCell& cell = map.cells[i];
    if (!cell.node) {
      line.Add(".", kFaint);
      continue;
    }
    const auto letter = scene.model->LetterOf(*cell.node);
    if (!letter) {
      line.Add(cell.half ? "#" : "+", {.bold = cell.full});
      continue;
    }
    const auto shown = static_cast<char>((cell.half ? 'A' : 'a') + *letter);
    line.Add(std::string(1, shown), {.ink = Ink::kFile, .letter = static_cast<uint8_t>(*letter), .bold = cell.full});
  }
  return line;
}

Line Legend(const Scene& scene, const WindowMap& map, const Snapshot& snapshot, int columns) {
  Line line(columns, scene.charset);
  line.Add("map", {.ink = Ink::kTitle, .bold = true}).GoTo(kOffsetColumns);
  if (!snapshot.mappings.error.empty()) return line.Add(snapshot.mappings.error, {.ink = Ink::kBad});
  const ByteCount cell(map.chunks_per_cell * kDaxRangeSize.raw());
  line.Add(absl::StrCat("a character is ", FormatSize(cell), "; A-Z files below, # others, . free"));
  if (map.chunks_per_cell > 1 && line.room() >= 24) line.Add("; a + less than half");
  return line;
}

}  // namespace

Frame MapLines(const Scene& scene, int rows, int columns) {
  Frame frame;
  const v1::Window* const window = scene.model->window();
  if (window == nullptr || window->capacity_bytes() < kDaxRangeSize.raw() || rows <= 0) return frame;
  const Snapshot& snapshot = *scene.model->snapshot();
  // The legend goes where there is no room for more than the map.
  const bool legend = rows >= 3 || !snapshot.mappings.error.empty();
  const int map_rows = legend ? std::max(1, rows - 1) : rows;
  const WindowMap map =
      MakeWindowMap(ByteCount(window->capacity_bytes()), snapshot.mappings.items, map_rows, columns - kOffsetColumns);
  if (legend) frame.push_back(Legend(scene, map, snapshot, columns));
  // Free as far as one knows is not free.
  if (!snapshot.mappings.error.empty()) return frame;
  for (int row = 0; row < map.rows(); ++row) frame.push_back(Row(scene, map, row, columns));
  return frame;
}

}  // namespace daxvmm::control::top
