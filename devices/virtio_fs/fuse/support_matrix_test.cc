// docs/fuse_support.md against the table of operations and the negotiation.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "devices/virtio_fs/fuse/session.h"
#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

constexpr char kDocument[] = "docs/fuse_support.md";
// The newest of Linux 6.18: COPY_FILE_RANGE_64 and REQUEST_TIMEOUT.
constexpr uint32_t kLastOpcode = 53;
constexpr uint32_t kLastBit = 42;

struct Row {
  uint32_t number = 0;
  std::string name;
  std::string state;
  std::string shown_by;
};

// The rows of the table whose first heading is `heading`.
std::vector<Row> Table(const std::string& heading) {
  std::ifstream file(kDocument);
  EXPECT_TRUE(file.good()) << kDocument;
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "| ")) {
      inside = inside && absl::StartsWith(line, "|-");
      continue;
    }
    std::vector<std::string> cells;
    for (const absl::string_view cell : absl::StrSplit(line, '|')) {
      cells.emplace_back(absl::StripAsciiWhitespace(cell));
    }
    if (cells[1] == heading) {
      inside = true;
      continue;
    }
    if (!inside) continue;
    Row row;
    EXPECT_GE(cells.size(), 6u) << line;
    EXPECT_TRUE(absl::SimpleAtoi(cells[1], &row.number)) << line;
    row.name = cells[2];
    row.state = cells[3];
    row.shown_by = cells[cells.size() - 2];
    rows.push_back(row);
  }
  return rows;
}

TEST(SupportMatrix, EveryOperationHasItsRow) {
  const std::vector<Row> rows = Table("number");
  uint32_t last = 0;
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_GT(row.number, last) << "sorted, each once";
    last = row.number;
    const Op* const op = FindOp(row.number);
    EXPECT_EQ(absl::StartsWith(row.state, "served"), op != nullptr);
    EXPECT_EQ(absl::StartsWith(row.state, "ENOSYS"), op == nullptr);
    if (op != nullptr) {
      EXPECT_EQ(op->name, row.name);
    }
    EXPECT_TRUE(absl::StartsWith(row.shown_by, "`")) << "names no test";
  }
  EXPECT_EQ(last, kLastOpcode);
  for (const Op& op : AllOps()) {
    const bool listed = std::ranges::any_of(rows, [&op](const Row& row) { return row.number == op.opcode; });
    EXPECT_TRUE(listed) << op.name;
  }
}

// Whether the bit is granted to a client that offers everything.
bool Grants(uint32_t bit, bool window, uint64_t optional_flags) {
  fuse_init_in in = {};
  in.major = kMajor;
  in.minor = kMinor;
  in.flags = ~0u;
  in.flags2 = ~0u;
  return (Negotiate(in, {.dax_window = window}, optional_flags).granted >> bit & 1) != 0;
}

TEST(SupportMatrix, EveryFlagOfInitHasItsRow) {
  const std::vector<Row> rows = Table("bit");
  ASSERT_EQ(rows.size(), kLastBit + 1);
  for (uint32_t bit = 0; bit <= kLastBit; ++bit) {
    const Row& row = rows[bit];
    SCOPED_TRACE(row.name);
    EXPECT_EQ(row.number, bit);
    const bool always = Grants(bit, false, 0);
    const bool window = !always && Grants(bit, true, 0);
    const bool share = !always && !window && Grants(bit, false, ~uint64_t{0});
    EXPECT_EQ(row.state, always ? "always" : window ? "window" : share ? "share" : "no");
    EXPECT_TRUE(absl::StartsWith(row.shown_by, "`")) << "names no test";
  }
  for (uint32_t bit = kLastBit + 1; bit < 64; ++bit) EXPECT_FALSE(Grants(bit, true, ~uint64_t{0})) << bit;
}

}  // namespace
}  // namespace daxvmm::fuse
