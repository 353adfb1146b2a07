#include "control/file_query.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<LiveFile> SomeFiles() {
  std::vector<LiveFile> files = {
      {.share_tag = "a", .node_id = 2, .path = "lib/x", .size = ByteCount(5), .told_dax = true},
      {.share_tag = "a", .node_id = 3, .path = "lib", .size = ByteCount(9), .decision_dax = true},
      {.share_tag = "a", .node_id = 4, .path = "library/y", .size = ByteCount(5), .open = true},
      {.share_tag = "b", .node_id = 2, .path = "lib/x", .size = ByteCount(1), .overridden = true, .mapped_chunks = 1},
  };
  files[0].convergence = Convergence::kNoticedHeldOpen;
  return files;
}

FilePage Query(const FileQuery& query, const std::vector<LiveFile>& files) {
  FileSelector selector(query);
  for (const LiveFile& file : files) {
    const auto path = [&file] { return file.path; };
    selector.Look(GlanceOf(file, path));
  }
  return MakePage(query, &selector, [&](const FileQuery::Place& place) -> std::optional<LiveFile> {
    for (const LiveFile& file : files) {
      if (file.share_tag == place.share_tag && file.node_id == place.node_id) return file;
    }
    return std::nullopt;
  });
}

// "a2" for node 2 of share a.
std::vector<std::string> Names(const FilePage& page) {
  std::vector<std::string> names;
  for (const auto& entry : page.entries) names.push_back(entry.file.share_tag + std::to_string(entry.file.node_id));
  return names;
}

TEST(FileQuery, EachConditionCounts) {
  const std::vector<LiveFile> files = SomeFiles();
  EXPECT_THAT(Names(Query({}, files)), ElementsAre("a3", "a2", "a4", "b2"));
  EXPECT_THAT(Names(Query({.share_tag = "b"}, files)), ElementsAre("b2"));
  EXPECT_THAT(Names(Query({.states = {Convergence::kUnknown, Convergence::kNoticedHeldOpen}}, files)),
              ElementsAre("a2"));
  EXPECT_THAT(Names(Query({.decision_dax = true}, files)), ElementsAre("a3"));
  EXPECT_THAT(Names(Query({.decision_dax = false}, files)), ElementsAre("a2", "a4", "b2"));
  EXPECT_THAT(Names(Query({.told_dax = true}, files)), ElementsAre("a2"));
  EXPECT_THAT(Names(Query({.told_dax = false}, files)), IsEmpty()) << "what is not known is neither";
  EXPECT_THAT(Names(Query({.open = true}, files)), ElementsAre("a4"));
  EXPECT_THAT(Names(Query({.mapped = true}, files)), ElementsAre("b2"));
  EXPECT_THAT(Names(Query({.overridden = true}, files)), ElementsAre("b2"));
  EXPECT_THAT(Names(Query({.subtree = "lib"}, files)), ElementsAre("a2", "b2"));
  EXPECT_THAT(Names(Query({.decision_dax = true, .open = true}, files)), IsEmpty());
}

TEST(FileQuery, AmountsFallAndPathsRise) {
  FileQuery query{.order = FileQuery::Order::kSize};
  EXPECT_THAT(Names(Query(query, SomeFiles())), ElementsAre("a3", "a2", "a4", "b2"));
  query.order = FileQuery::Order::kMappedChunks;
  EXPECT_THAT(Names(Query(query, SomeFiles())), ElementsAre("b2", "a3", "a2", "a4"));
}

TEST(FileQuery, AFileThatHasGoneOrFitsNoMoreIsLeftOut) {
  const FileQuery query{.decision_dax = false, .limit = 2};
  FileSelector selector(query);
  for (const LiveFile& file : SomeFiles()) {
    const auto path = [&file] { return file.path; };
    selector.Look({.share_tag = file.share_tag, .node_id = file.node_id, .path = path});
  }
  int asked = 0;
  const FilePage page = MakePage(query, &selector, [&](const FileQuery::Place&) -> std::optional<LiveFile> {
    if (++asked == 1) return std::nullopt;
    return LiveFile{.share_tag = "a", .decision_dax = true};
  });
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(page.entries, IsEmpty());
  EXPECT_EQ(page.total, 4u);
  EXPECT_TRUE(page.next_after.has_value()) << "an empty page is not the last one";
}

// All pages together are the whole list in its order, whatever the page size; nothing comes twice.
TEST(FileQuery, PagesAreTheList) {
  std::mt19937 random(7);
  std::vector<LiveFile> files;
  for (uint64_t node = 1; node <= 200; ++node) {
    files.push_back({.share_tag = random() % 2 == 0 ? "a" : "b",
                     .node_id = node,
                     .path = std::string(1, static_cast<char>('a' + random() % 5)),  // many have the same
                     .size = ByteCount(random() % 4),
                     .mapped_chunks = static_cast<uint32_t>(random() % 3),
                     .setup_mappings = random() % 3,
                     .reads = random() % 3});
  }
  for (const auto order : {FileQuery::Order::kPath, FileQuery::Order::kMappedChunks, FileQuery::Order::kReads,
                           FileQuery::Order::kSize, FileQuery::Order::kSetupMappings}) {
    const std::vector<std::string> whole = Names(Query({.order = order, .limit = 1000}, files));
    ASSERT_EQ(whole.size(), files.size());
    for (const size_t limit : {1, 7, 199, 200, 201}) {
      FileQuery query{.order = order, .limit = limit};
      std::vector<std::string> pages;
      for (bool more = true; more;) {
        std::ranges::shuffle(files, random);
        const FilePage page = Query(query, files);
        EXPECT_EQ(page.total, files.size());
        EXPECT_LE(page.entries.size(), limit);
        for (const std::string& name : Names(page)) pages.push_back(name);
        query.after = page.next_after;
        more = page.next_after.has_value();
      }
      EXPECT_EQ(pages, whole) << static_cast<int>(order) << " " << limit;
    }
  }
}

}  // namespace
}  // namespace daxvmm::control
