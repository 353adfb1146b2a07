#include "control/ctl/top/model.h"

#include <numeric>
#include <utility>

#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

std::shared_ptr<Snapshot> At(int seconds, uint64_t maps, uint64_t unmaps = 0) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->time = absl::FromUnixSeconds(1000 + seconds);
  snapshot->share = "data";
  for (const char* share : {"data", "src"}) {
    v1::Window window;
    window.set_share(share);
    window.set_maps(maps);
    window.set_unmaps(unmaps);
    snapshot->windows.push_back(window);
  }
  return snapshot;
}

void Map(uint64_t node, uint64_t bytes, Snapshot* snapshot) {
  v1::Mapping mapping;
  mapping.set_node_id(node);
  mapping.set_length_bytes(bytes);
  snapshot->mappings.items.push_back(mapping);
}

TEST(ModelTest, RatesAreBetweenTwoAnswers) {
  Model model;
  model.Take(nullptr);
  EXPECT_EQ(model.snapshot(), nullptr);
  const auto first = At(0, 100);
  model.Take(first);
  EXPECT_TRUE(model.HistoryOf("data").maps.empty());
  model.Take(first);
  model.Take(At(2, 110, 4));
  model.Take(At(3, 110, 5));
  EXPECT_EQ(model.HistoryOf("data").maps, (std::vector<double>{5, 0}));
  EXPECT_EQ(model.HistoryOf("src").unmaps, (std::vector<double>{2, 1})) << "of the shares that are not shown too";
  EXPECT_TRUE(model.HistoryOf("none").maps.empty());
}

TEST(ModelTest, AnotherMachineBeginsAnew) {
  Model model;
  model.Take(At(0, 100));
  model.Take(At(1, 101));
  model.Take(At(2, 3));
  EXPECT_TRUE(model.HistoryOf("data").maps.empty()) << "no negative rate";
  model.Take(At(3, 5));
  EXPECT_EQ(model.HistoryOf("data").maps, (std::vector<double>{2}));
}

TEST(ModelTest, TheHistoryIsBounded) {
  Model model;
  for (int i = 0; i < 1000; ++i) model.Take(At(i, i));
  EXPECT_EQ(model.HistoryOf("data").maps.size(), 240u);
}

TEST(ModelTest, TheLargestFilesHaveLetters) {
  Model model;
  auto snapshot = At(0, 0);
  Map(7, 2 << 20, snapshot.get());
  Map(9, 2 << 20, snapshot.get());
  Map(9, 2 << 20, snapshot.get());
  model.Take(snapshot);
  EXPECT_EQ(model.LetterOf(9), 0) << "A";
  EXPECT_EQ(model.LetterOf(7), 1);
  EXPECT_EQ(model.LetterOf(8), std::nullopt);
  snapshot = At(1, 0);
  Map(7, 8 << 20, snapshot.get());
  Map(9, 2 << 20, snapshot.get());
  model.Take(snapshot);
  EXPECT_EQ(model.LetterOf(9), 0) << "a letter stays where it is";
  EXPECT_EQ(model.LetterOf(7), 1);
}

TEST(LetterBookTest, ALetterIsGivenOnWhenItsFileCoolsDown) {
  LetterBook book;
  std::vector<uint64_t> nodes(30);
  std::iota(nodes.begin(), nodes.end(), 100);
  book.Assign(nodes);
  EXPECT_EQ(book.LetterOf(100), 0);
  EXPECT_EQ(book.LetterOf(125), 25);
  EXPECT_EQ(book.LetterOf(126), std::nullopt) << "there are no more letters";
  std::swap(nodes[3], nodes[29]);
  book.Assign(nodes);
  EXPECT_EQ(book.LetterOf(103), std::nullopt);
  EXPECT_EQ(book.LetterOf(129), 3);
  EXPECT_EQ(book.LetterOf(104), 4);
}

TEST(ModelTest, SharesGoRound) {
  Model model;
  EXPECT_EQ(model.ShareAfter(1), "");
  EXPECT_EQ(model.window(), nullptr);
  model.Take(At(0, 0));
  EXPECT_EQ(model.window()->share(), "data");
  EXPECT_EQ(model.ShareAfter(1), "src");
  EXPECT_EQ(model.ShareAfter(2), "data");
  EXPECT_EQ(model.ShareAfter(-1), "src");
}

TEST(SortFilesTest, EachOrder) {
  std::vector<v1::LiveFile> files(3);
  const char* const paths[] = {"b", "a", "c"};
  for (int i = 0; i < 3; ++i) {
    files[i].set_path(paths[i]);
    files[i].set_mapped_chunks(1);
    files[i].set_reads(i);
    files[i].set_size_bytes(10 - i);
    files[i].set_setup_mappings(i == 1 ? 9 : 0);
  }
  const auto sorted = [&](v1::ListFilesRequest::Order order) {
    SortFiles(order, &files);
    return files[0].path() + files[1].path() + files[2].path();
  };
  EXPECT_EQ(sorted(v1::ListFilesRequest::ORDER_MAPPED_CHUNKS), "abc") << "equal ones by path";
  EXPECT_EQ(sorted(v1::ListFilesRequest::ORDER_READS), "cab");
  EXPECT_EQ(sorted(v1::ListFilesRequest::ORDER_SIZE), "bac");
  EXPECT_EQ(sorted(v1::ListFilesRequest::ORDER_SETUP_MAPPINGS), "abc");
}

}  // namespace
}  // namespace daxvmm::control::top
