#include "control/ctl/top/window_map.h"

#include <algorithm>
#include <utility>

namespace daxvmm::control::top {
namespace {

struct Part {
  uint64_t node = 0;
  uint64_t bytes = 0;
};

// The largest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is not above `columns`.
int RoundRow(int columns) {
  int power = 1;
  while (power <= columns / 2) power *= 2;
  return power >= 2 && power + power / 2 <= columns ? power + power / 2 : power;
}

void Add(uint64_t node, uint64_t bytes, std::vector<Part>* parts) {
  // Mappings come in the order of the window, so it is the last one that is extended.
  if (!parts->empty() && parts->back().node == node) {
    parts->back().bytes += bytes;
  } else {
    parts->push_back({node, bytes});
  }
}

MapCell Summarize(std::vector<Part> parts, uint64_t size) {
  MapCell cell;
  if (parts.empty()) return cell;
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.node < b.node; });
  uint64_t all = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < parts.size();) {
    uint64_t of_node = 0;
    const uint64_t node = parts[i].node;
    for (; i < parts.size() && parts[i].node == node; ++i) of_node += parts[i].bytes;
    all += of_node;
    if (of_node > most) {
      most = of_node;
      cell.node = node;
    }
  }
  cell.half = all >= size - size / 2;
  cell.full = all >= size;
  return cell;
}

}  // namespace

WindowMap MakeWindowMap(ByteCount capacity, const std::vector<v1::Mapping>& mappings, int rows, int columns) {
  WindowMap map;
  map.cells_per_row = RoundRow(columns);
  // No window is an EiB; the sums below cannot overflow so.
  const uint64_t chunks = std::min(capacity, GiB(uint64_t{1} << 30)).raw() / kDaxRangeSize.raw();
  const uint64_t room = static_cast<uint64_t>(map.cells_per_row) * rows;
  while (chunks / map.chunks_per_cell + (chunks % map.chunks_per_cell != 0) > room) map.chunks_per_cell *= 2;
  const uint64_t size = map.chunks_per_cell * kDaxRangeSize.raw();
  const uint64_t end = chunks * kDaxRangeSize.raw();
  const uint64_t count = (end + size - 1) / size;
  std::vector<std::vector<Part>> parts(count);
  for (const v1::Mapping& mapping : mappings) {
    if (mapping.window_offset() >= end) continue;
    const uint64_t last = mapping.window_offset() + std::min(mapping.length_bytes(), end - mapping.window_offset());
    for (uint64_t at = mapping.window_offset(); at < last;) {
      const uint64_t stop = std::min(last, (at / size + 1) * size);
      Add(mapping.node_id(), stop - at, &parts[at / size]);
      at = stop;
    }
  }
  map.cells.reserve(count);
  for (uint64_t i = 0; i < count; ++i)
    map.cells.push_back(Summarize(std::move(parts[i]), std::min(size, end - i * size)));
  return map;
}

}  // namespace daxvmm::control::top
