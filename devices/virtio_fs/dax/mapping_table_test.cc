#include "devices/virtio_fs/dax/mapping_table.h"

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunkPages = 512;

WindowRange Range(uint64_t first_page, uint64_t pages) {
  return {WindowOffset(first_page * kPage), ByteCount(pages * kPage)};
}

TableEntry Entry(uint64_t first_page, uint64_t pages, uint64_t node, uint64_t file_page) {
  return {.range = Range(first_page, pages),
          .from = FileOffset(file_page * kPage),
          .node = NodeId(node),
          .file = MappedFileId(node * 100),
          .protection = memory::Protection::kReadOnly};
}

std::vector<TableEntry> All(const MappingTable& table) {
  std::vector<TableEntry> all;
  table.ForEach([&](const TableEntry& entry) { all.push_back(entry); });
  return all;
}

TEST(MappingTableTest, AnEntryInTheMiddleSplits) {
  MappingTable table(MiB(8));
  EXPECT_THAT(table.Insert(Entry(0, 10, 1, 100)), IsEmpty());
  EXPECT_THAT(table.Insert(Entry(4, 2, 2, 0)), ElementsAre(Entry(4, 2, 1, 104)));
  EXPECT_THAT(All(table), ElementsAre(Entry(0, 4, 1, 100), Entry(4, 2, 2, 0), Entry(6, 4, 1, 106)));
  EXPECT_EQ(table.mapped_chunks(), 1u);
}

TEST(MappingTableTest, EraseCutsBothNeighbours) {
  MappingTable table(MiB(8));
  (void)table.Insert(Entry(0, 4, 1, 0));
  (void)table.Insert(Entry(4, 4, 2, 50));
  EXPECT_THAT(table.Erase(Range(2, 4)), ElementsAre(Entry(2, 2, 1, 2), Entry(4, 2, 2, 50)));
  EXPECT_THAT(All(table), ElementsAre(Entry(0, 2, 1, 0), Entry(6, 2, 2, 52)));
  EXPECT_THAT(table.Erase(Range(2, 4)), IsEmpty());
}

TEST(MappingTableTest, ChunksAreCountedOnce) {
  MappingTable table(MiB(8));
  (void)table.Insert(Entry(kChunkPages - 1, 2, 1, 0));  // the last page of one chunk and the first of the next
  EXPECT_EQ(table.mapped_chunks(), 2u);
  (void)table.Insert(Entry(0, 1, 1, 9));
  EXPECT_EQ(table.mapped_chunks(), 2u);
  (void)table.Insert(Entry(2, 1, 2, 9));
  EXPECT_EQ(table.mapped_chunks(), 2u);
  EXPECT_THAT(table.ChunksByNode(), UnorderedElementsAre(Pair(NodeId(1), 2), Pair(NodeId(2), 1)));
  (void)table.Erase(Range(kChunkPages, 1));
  EXPECT_EQ(table.mapped_chunks(), 1u);
  table.Clear();
  EXPECT_EQ(table.mapped_chunks(), 0u);
  EXPECT_THAT(table.ChunksByNode(), IsEmpty());
}

TEST(MappingTableTest, FindsByOffset) {
  MappingTable table(MiB(8));
  (void)table.Insert(Entry(2, 2, 1, 0));
  EXPECT_EQ(table.Find(WindowOffset(2 * kPage - 1)), nullptr);
  ASSERT_NE(table.Find(WindowOffset(2 * kPage)), nullptr);
  EXPECT_EQ(*table.Find(WindowOffset(4 * kPage - 1)), Entry(2, 2, 1, 0));
  EXPECT_EQ(table.Find(WindowOffset(4 * kPage)), nullptr);
}

// One slot for each page of the window: slow, and too simple to be wrong.
class PageArray {
 public:
  explicit PageArray(uint64_t pages) : pages_(pages) {}

  void Put(const TableEntry& entry) {
    for (uint64_t i = 0; i < entry.range.length.raw() / kPage; ++i) {
      pages_[entry.range.at.raw() / kPage + i] = Page{entry.node, entry.from.raw() / kPage + i, entry.protection};
    }
  }
  void Take(const WindowRange& range) {
    for (uint64_t i = 0; i < range.length.raw() / kPage; ++i) pages_[range.at.raw() / kPage + i].reset();
  }
  uint64_t Mapped(const WindowRange& range) const {
    const auto first = pages_.begin() + static_cast<ptrdiff_t>(range.at.raw() / kPage);
    return std::count_if(first, first + static_cast<ptrdiff_t>(range.length.raw() / kPage),
                         [](const auto& page) { return page.has_value(); });
  }
  std::unordered_map<NodeId, uint32_t> ChunksByNode() const {
    std::set<std::pair<uint64_t, uint64_t>> seen;
    for (uint64_t i = 0; i < pages_.size(); ++i) {
      if (pages_[i]) seen.insert({pages_[i]->node.raw(), i / kChunkPages});
    }
    std::unordered_map<NodeId, uint32_t> chunks;
    for (const auto& [node, chunk] : seen) ++chunks[NodeId(node)];
    return chunks;
  }
  uint64_t mapped_chunks() const {
    std::set<uint64_t> chunks;
    for (uint64_t i = 0; i < pages_.size(); ++i) {
      if (pages_[i]) chunks.insert(i / kChunkPages);
    }
    return chunks.size();
  }
  bool operator==(const PageArray&) const = default;

 private:
  struct Page {
    NodeId node;
    uint64_t file_page;
    memory::Protection protection;
    bool operator==(const Page&) const = default;
  };
  std::vector<std::optional<Page>> pages_;
};

TEST(MappingTablePropertyTest, AgreesWithAPageArray) {
  constexpr uint64_t kPages = 4 * kChunkPages;
  std::mt19937_64 random(11);
  MappingTable table(ByteCount(kPages * kPage));
  PageArray oracle(kPages);
  for (int step = 0; step < 1000; ++step) {
    // Mostly around chunk borders, some large.
    const uint64_t at = random() % 3 == 0 ? random() % kPages : (random() % 4) * kChunkPages + random() % 12;
    const uint64_t most = std::min<uint64_t>(kPages - at, random() % 4 == 0 ? kPages : 16);
    const WindowRange range = Range(at, 1 + random() % most);
    const uint64_t mapped_before = oracle.Mapped(range);
    std::vector<TableEntry> taken;
    if (random() % 3 != 0) {
      TableEntry entry = Entry(at, 1, 1 + random() % 4, random() % 100000);
      entry.range = range;
      if (random() % 2 == 0) entry.protection = memory::Protection::kReadWrite;
      taken = table.Insert(entry);
      oracle.Put(entry);
    } else {
      taken = table.Erase(range);
      oracle.Take(range);
    }
    uint64_t taken_pages = 0;
    for (const TableEntry& part : taken) taken_pages += part.range.length.raw() / kPage;
    ASSERT_EQ(taken_pages, mapped_before);

    PageArray rebuilt(kPages);
    WindowOffset last_end(0);
    table.ForEach([&](const TableEntry& entry) {
      EXPECT_LE(last_end, entry.range.at);
      last_end = entry.range.end();
      rebuilt.Put(entry);
    });
    ASSERT_TRUE(rebuilt == oracle) << "step " << step;
    ASSERT_EQ(table.mapped_chunks(), oracle.mapped_chunks()) << "step " << step;
    ASSERT_EQ(table.ChunksByNode(), oracle.ChunksByNode()) << "step " << step;
  }
}

}  // namespace
}  // namespace daxvmm::dax
