#include "control/ctl/top/window_map.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

v1::Mapping Of(uint64_t node, uint64_t offset, uint64_t length) {
  v1::Mapping mapping;
  mapping.set_node_id(node);
  mapping.set_window_offset(offset);
  mapping.set_length_bytes(length);
  return mapping;
}

constexpr uint64_t kChunk = 2 << 20;

// Each cell as a letter, 'A' for node 0, lower case below half, '.' for free.
std::string Drawn(const WindowMap& map) {
  std::string out;
  for (const MapCell& cell : map.cells) {
    out += cell.node ? static_cast<char>((cell.half ? 'A' : 'a') + *cell.node) : '.';
  }
  return out;
}

TEST(WindowMapTest, ACellForEachChunkWhereTheWindowIsSmall) {
  const WindowMap map =
      MakeWindowMap(MiB(16), {Of(1, 0, 2 * kChunk), Of(2, 3 * kChunk, kChunk), Of(3, 7 * kChunk, 4096)}, 4, 72);
  EXPECT_EQ(map.chunks_per_cell, 1u);
  EXPECT_EQ(map.cells_per_row, 64);
  EXPECT_EQ(map.rows(), 1);
  EXPECT_EQ(Drawn(map), "BB.C...d");
  EXPECT_TRUE(map.cells[0].full);
  EXPECT_FALSE(map.cells[7].full);
}

TEST(WindowMapTest, RowsBeginAtRoundOffsets) {
  for (const auto& [columns, cells] :
       {std::pair(1, 1), {2, 2}, {3, 3}, {5, 4}, {32, 32}, {47, 32}, {72, 64}, {112, 96}, {250, 192}}) {
    EXPECT_EQ(MakeWindowMap(GiB(1), {}, 100, columns).cells_per_row, cells) << columns;
  }
  const WindowMap map = MakeWindowMap(MiB(300), {}, 10, 64);
  EXPECT_EQ(map.rows(), 3);
  EXPECT_EQ(map.cells.size(), 150u);
  EXPECT_EQ(map.RowStart(1), MiB(128));
}

TEST(WindowMapTest, SeveralChunksForACellOfALargeWindow) {
  // 8 cells of 4 chunks.
  const WindowMap map = MakeWindowMap(MiB(64),
                                      {Of(0, 0, 4 * kChunk),                                      // all
                                       Of(1, 4 * kChunk, kChunk), Of(2, 5 * kChunk, 2 * kChunk),  // mostly C
                                       Of(3, 9 * kChunk, kChunk),                                 // a quarter
                                       Of(4, 15 * kChunk, 2 * kChunk)},                           // over a border
                                      1, 8);
  EXPECT_EQ(map.chunks_per_cell, 4u);
  EXPECT_EQ(Drawn(map), "ACdee...");
  EXPECT_TRUE(map.cells[0].full);
  EXPECT_FALSE(map.cells[1].full);
}

TEST(WindowMapTest, ANodeInPiecesCountsAsOne) {
  const WindowMap map =
      MakeWindowMap(MiB(8), {Of(5, 0, kChunk), Of(1, kChunk, kChunk), Of(5, 2 * kChunk, kChunk)}, 1, 1);
  EXPECT_EQ(Drawn(map), "F");
}

TEST(WindowMapTest, TheLastCellMayBeShorter) {
  const WindowMap map = MakeWindowMap(MiB(6), {Of(1, 2 * kChunk, kChunk)}, 1, 2);
  EXPECT_EQ(Drawn(map), ".B") << "one chunk of the one that is there";
  EXPECT_TRUE(map.cells[1].full);
}

TEST(WindowMapTest, NonsenseIsLeftOut) {
  const WindowMap map = MakeWindowMap(
      MiB(4), {Of(1, 2 * kChunk, kChunk), Of(2, ~uint64_t{0} - 4095, kChunk), Of(3, kChunk, ~uint64_t{0})}, 1, 8);
  EXPECT_EQ(Drawn(map), ".D");
  EXPECT_EQ(MakeWindowMap(ByteCount(0), {Of(1, 0, kChunk)}, 1, 8).cells.size(), 0u);
  EXPECT_EQ(MakeWindowMap(ByteCount(4096), {}, 1, 8).cells.size(), 0u);
  EXPECT_LE(MakeWindowMap(ByteCount(~uint64_t{0}), {}, 3, 64).cells.size(), 3u * 64);
}

}  // namespace
}  // namespace daxvmm::control::top
