// A DAX window as a field of characters. Pure.
#ifndef DAXVMM_CONTROL_CTL_TOP_WINDOW_MAP_H_
#define DAXVMM_CONTROL_CTL_TOP_WINDOW_MAP_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control::top {

// What one character stands for.
struct MapCell {
  std::optional<uint64_t> node;  // the one that has the most of it; nullopt: all of it is free
  bool half = false;             // at least half of it is mapped
  bool full = false;             // all of it is
};

struct WindowMap {
  uint64_t chunks_per_cell = 1;  // of 2 MiB
  int cells_per_row = 1;         // rows begin at round offsets
  std::vector<MapCell> cells;    // in the order of the window

  int rows() const { return (static_cast<int>(cells.size()) + cells_per_row - 1) / cells_per_row; }
  ByteCount RowStart(int row) const {
    return ByteCount(static_cast<uint64_t>(row) * cells_per_row * chunks_per_cell * kDaxRangeSize.raw());
  }
};

// As fine as it goes into `rows` of `columns`, both at least 1; a cell is a power of two of chunks. What of `mappings`
// is not inside of the window is left out.
WindowMap MakeWindowMap(ByteCount capacity, const std::vector<v1::Mapping>& mappings, int rows, int columns);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_WINDOW_MAP_H_
