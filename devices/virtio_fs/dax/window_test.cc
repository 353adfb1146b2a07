#include "devices/virtio_fs/dax/window.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "devices/virtio_fs/dax/window_test_support.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {

void PrintTo(const NodeWindowUse& use, std::ostream* os) {
  *os << "{chunks " << use.chunks << ", max " << use.chunks_max << ", maps " << use.maps << ", unmaps " << use.unmaps
      << "}";
}

namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_F(WindowTest, NothingIsReachableAtFirst) {
  EXPECT_EQ(Load(0), std::nullopt);
  EXPECT_EQ(Load(kSize - 1), std::nullopt);
  EXPECT_EQ(window_->Describe(WindowOffset(0)), "nothing is mapped there");
}

TEST_F(WindowTest, MapsTheFilesBytes) {
  TestFile file("maps");
  file.Fill(1024);
  source_.paths[NodeId(5)] = file.path();
  ASSERT_EQ(SetupMapping(5, kChunk, kChunk, kRead, 2 * kChunk), 0);
  EXPECT_EQ(Load(2 * kChunk), file.At(kChunk));
  EXPECT_EQ(Load(3 * kChunk - 1), file.At(2 * kChunk - 1));
  EXPECT_EQ(Load(2 * kChunk - 1), std::nullopt);
  EXPECT_EQ(Load(3 * kChunk), std::nullopt);
  EXPECT_FALSE(CanStore(2 * kChunk)) << "a read-only mapping";
  const WindowStats stats = window_->stats();
  EXPECT_EQ(stats.mapped_chunks, 1u);
  EXPECT_EQ(stats.maps, 1u);
  EXPECT_EQ(window_->ChunksOf(NodeId(5)), 1u);
  EXPECT_EQ(window_->ChunksOf(NodeId(6)), 0u);
}

TEST_F(WindowTest, StoresReachTheFile) {
  TestFile file("stores");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  for (const uint64_t flags : {kWrite, kRead | kWrite}) {
    ASSERT_EQ(SetupMapping(1, 0, kChunk, flags, 0), 0);
    EXPECT_TRUE(CanStore(0)) << flags;
  }
}

TEST_F(WindowTest, UpgradeKeepsThePagesAndAddsTheRight) {
  TestFile file("upgrade");
  file.Fill(512);
  source_.paths[NodeId(1)] = file.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);

  // Another vCPU reads all the while; a gap would show as a fault.
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0}, faults{0};
  std::thread reader([&] {
    while (!stop.load()) {
      faults += Load(kPage) == std::nullopt ? 1 : 0;
      ++reads;
    }
  });
  for (int i = 0; i < 500 || reads.load() < 500; ++i) {
    ASSERT_EQ(SetupMapping(1, 0, kChunk, i % 2 == 0 ? kRead | kWrite : kRead, 0), 0);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(faults.load(), 0u);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0), 0);
  EXPECT_TRUE(CanStore(0));
  EXPECT_EQ(Load(kPage), 'b');
  EXPECT_THAT(window_->Mappings(), SizeIs(1));
  EXPECT_EQ(window_->stats().mapped_chunks, 1u);
}

TEST_F(WindowTest, OverlapReplacesAndSplits) {
  TestFile one("one"), two("two");
  one.Fill(512);
  two.Fill(512, 13);
  source_.paths[NodeId(1)] = one.path();
  source_.paths[NodeId(2)] = two.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  ASSERT_EQ(SetupMapping(2, 0, kPage, kRead, kPage), 0);
  EXPECT_EQ(Load(0), 'a');
  EXPECT_EQ(Load(kPage), 'n');
  EXPECT_EQ(Load(2 * kPage), 'c');
  EXPECT_THAT(window_->Mappings(), SizeIs(3));
  EXPECT_THAT(window_->ChunksByNode(), UnorderedElementsAre(Pair(NodeId(1), 1), Pair(NodeId(2), 1)));
  ASSERT_EQ(SetupMapping(2, 0, kChunk, kRead, 0), 0);
  EXPECT_EQ(Load(2 * kPage), 'p');
  EXPECT_THAT(window_->ChunksByNode(), UnorderedElementsAre(Pair(NodeId(2), 1)));
}

TEST_F(WindowTest, RemovedPagesAreOutOfReach) {
  TestFile file("removed");
  file.Fill(1024);
  source_.paths[NodeId(1)] = file.path();
  ASSERT_EQ(SetupMapping(1, 0, 2 * kChunk, kRead, 0), 0);
  ASSERT_EQ(Remove({{.moffset = kPage, .len = kPage}, {.moffset = 0, .len = 0}, {.moffset = kChunk, .len = kChunk}}),
            0);
  EXPECT_EQ(Load(0), 'a');
  EXPECT_EQ(Load(kPage), std::nullopt);
  EXPECT_EQ(Load(2 * kPage), 'c');
  EXPECT_EQ(Load(kChunk), std::nullopt);
  EXPECT_EQ(window_->stats().unmaps, 2u);
  EXPECT_EQ(window_->stats().mapped_chunks, 1u);
  EXPECT_EQ(window_->stats().mapped_chunks_max, 2u);
  EXPECT_EQ(Remove({{.moffset = kPage, .len = kPage}, {.moffset = 3 * kChunk, .len = kChunk}}), 0) << "holes are fine";
  EXPECT_EQ(window_->stats().unmaps, 2u);
}

TEST_F(WindowTest, RemoveValidatesAllBeforeItAppliesAny) {
  TestFile file("batch");
  file.Fill(512);
  source_.paths[NodeId(1)] = file.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  for (const fuse_removemapping_one& bad :
       {fuse_removemapping_one{.moffset = 0, .len = ~uint64_t{0}}, fuse_removemapping_one{.moffset = 1, .len = kPage},
        fuse_removemapping_one{.moffset = kSize, .len = kPage},
        fuse_removemapping_one{.moffset = -kPage, .len = 2 * kPage}}) {
    EXPECT_EQ(Remove({{.moffset = 0, .len = kChunk}, bad}), EINVAL);
    EXPECT_EQ(Load(0), 'a');
  }
  EXPECT_EQ(window_->stats().rejected, 4u);
  EXPECT_EQ(window_->stats().unmaps, 0u);
}

TEST_F(WindowTest, MalformedSetupOpensNothing) {
  TestFile file("malformed");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  for (const uint64_t bad : {uint64_t{1}, kSize, ~uint64_t{0}, -kPage}) {
    EXPECT_EQ(SetupMapping(1, 0, kChunk, kRead, bad), EINVAL) << bad;
  }
  EXPECT_EQ(SetupMapping(1, 0, kChunk, 0, 0), EINVAL);
  EXPECT_EQ(source_.opens, 0);
  EXPECT_EQ(window_->stats().rejected, 5u);
}

TEST_F(WindowTest, ReadOnlyShare) {
  Make(true);
  TestFile file("read_only");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_EQ(SetupMapping(1, 0, kChunk, kRead | kWrite, 0), EROFS);
  EXPECT_EQ(Load(0), 'a') << "the old mapping must stay";
  EXPECT_FALSE(CanStore(0));
}

TEST_F(WindowTest, ErrorsOfTheFileSystem) {
  EXPECT_EQ(SetupMapping(9, 0, kChunk, kRead, 0), ENOENT);
  source_.error = fuse::Errno(EACCES);
  EXPECT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), EACCES);
  source_.error = fuse::Errno(EAGAIN);
  EXPECT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), EIO) << "EAGAIN makes the guest loop";
  source_.error = fuse::Errno(ENOMEM);
  EXPECT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), EIO) << "ENOMEM makes a fault in the guest retry without end";
  EXPECT_THAT(window_->Mappings(), IsEmpty());
}

TEST_F(WindowTest, WhatCannotBeMappedIsEioAndLeavesTheOldState) {
  TestFile file("old_state");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  source_.paths[NodeId(2)] = ::testing::TempDir();  // a directory opens, but mmap refuses it
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  EXPECT_EQ(SetupMapping(2, 0, kChunk, kRead, 0), EIO);
  EXPECT_EQ(Load(0), 'a');
  EXPECT_THAT(window_->ChunksByNode(), UnorderedElementsAre(Pair(NodeId(1), 1)));
}

TEST_F(WindowTest, ClearTakesEverything) {
  TestFile file("clear");
  file.Fill(1024);
  source_.paths[NodeId(1)] = file.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  ASSERT_EQ(SetupMapping(1, kChunk, kChunk, kRead | kWrite, 3 * kChunk), 0);
  window_->Clear();
  EXPECT_EQ(Load(0), std::nullopt);
  EXPECT_EQ(Load(3 * kChunk), std::nullopt);
  EXPECT_THAT(window_->Mappings(), IsEmpty());
  EXPECT_EQ(window_->stats().mapped_chunks, 0u);
  EXPECT_EQ(window_->stats().mapped_chunks_max, 2u);
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0) << "the window must be usable again";
  EXPECT_EQ(Load(0), 'a');
}

TEST_F(WindowTest, ASetupThatBeganBeforeClearDoesNotMapAfterIt) {
  TestFile file("late");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  source_.while_opening = [this] { window_->Clear(); };
  EXPECT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), EIO);
  EXPECT_EQ(Load(0), std::nullopt);
}

TEST_F(WindowTest, TheEndOfTheWindowClearsIt) {
  TestFile file("end");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  ASSERT_EQ(SetupMapping(1, 0, kChunk, kRead, 0), 0);
  window_.reset();
  EXPECT_EQ(Load(0), std::nullopt);
}

TEST_F(WindowTest, AGuestThatMapsPageByPageIsStopped) {
  TestFile file("pieces");
  file.Fill(1);
  source_.paths[NodeId(1)] = file.path();
  // Larger than the four chunks of the other tests: as many pages as entries are allowed.
  absl::StatusOr<memory::MappingWindow> memory = memory::MappingWindow::Create(MiB(32));
  ASSERT_TRUE(memory.ok());
  absl::StatusOr<std::unique_ptr<Window>> window = Window::Create(&*memory, false);
  ASSERT_TRUE(window.ok());
  int error = 0;
  uint64_t mapped = 0;
  for (uint64_t at = 0; at < MiB(32).raw() && error == 0; at += kPage, ++mapped) {
    const fuse_setupmapping_in in{.fh = 0, .foffset = 0, .len = kPage, .flags = kRead, .moffset = at};
    error = (*window)->Setup(NodeId(1), in, source_).value();
  }
  EXPECT_EQ(error, EIO);
  EXPECT_GT(mapped, 4000u);
}

TEST_F(WindowTest, AMappingCarriesItsProvenance) {
  std::chrono::steady_clock::time_point now{std::chrono::seconds(1000)};
  absl::StatusOr<std::unique_ptr<Window>> window = Window::Create(memory_.get(), false, {.clock = [&] { return now; }});
  ASSERT_TRUE(window.ok());
  TestFile file("provenance");
  file.Fill(512);
  source_.paths[NodeId(3)] = file.path();
  const auto setup = [&](uint64_t flags, uint64_t generation) {
    const fuse_setupmapping_in in{.fh = 0, .foffset = 0, .len = kChunk, .flags = flags, .moffset = kChunk};
    return (*window)->Setup(NodeId(3), in, source_, {.told_size = ByteCount(1), .policy_generation = generation}).ok();
  };
  ASSERT_TRUE(setup(kRead, 7));
  std::vector<TableEntry> mappings = (*window)->Mappings();
  ASSERT_THAT(mappings, SizeIs(1));
  EXPECT_EQ(mappings[0].node, NodeId(3));
  EXPECT_EQ(mappings[0].range, (WindowRange{WindowOffset(kChunk), ByteCount(kChunk)}));
  EXPECT_EQ(mappings[0].from, FileOffset(0));
  EXPECT_EQ(mappings[0].protection, memory::Protection::kReadOnly);
  EXPECT_EQ(mappings[0].policy_generation, 7u);
  EXPECT_EQ(mappings[0].mapped_at, now);
  now += std::chrono::seconds(5);
  EXPECT_EQ((*window)->Now() - mappings[0].mapped_at, std::chrono::seconds(5));
  ASSERT_TRUE(setup(kRead | kWrite, 8));
  mappings = (*window)->Mappings();
  ASSERT_THAT(mappings, SizeIs(1));
  EXPECT_EQ(mappings[0].policy_generation, 8u);
  EXPECT_EQ(mappings[0].mapped_at, now);
  EXPECT_EQ(mappings[0].protection, memory::Protection::kReadWrite);
}

TEST_F(WindowTest, TheBooks) {
  std::chrono::steady_clock::time_point now{std::chrono::seconds(1000)};
  absl::StatusOr<std::unique_ptr<Window>> window = Window::Create(
      memory_.get(), false, {.reuse_within = std::chrono::milliseconds(50), .clock = [&] { return now; }});
  ASSERT_TRUE(window.ok());
  TestFile file("books");
  file.Fill(1);
  source_.paths[NodeId(1)] = source_.paths[NodeId(2)] = file.path();
  const auto setup = [&](uint64_t node, uint64_t slot) {
    const fuse_setupmapping_in in{.fh = 0, .foffset = 0, .len = kChunk, .flags = kRead, .moffset = slot * kChunk};
    ASSERT_TRUE((*window)->Setup(NodeId(node), in, source_).ok());
  };
  const auto remove = [&](std::vector<uint64_t> slots) {
    std::vector<fuse_removemapping_one> entries;
    for (const uint64_t slot : slots) entries.push_back({.moffset = slot * kChunk, .len = kChunk});
    ASSERT_TRUE((*window)->Remove(NodeId(1), entries).ok());
  };
  EXPECT_EQ((*window)->stats().chunks, 4u);
  for (const uint64_t slot : {0, 1, 2}) setup(1, slot);
  setup(2, 3);
  setup(2, 3);  // the same again: no chunk is emptied in between
  EXPECT_EQ((*window)->mapped_chunks_now(), 4u);
  EXPECT_EQ((*window)->UseOf(NodeId(1)), (NodeWindowUse{.chunks = 3, .chunks_max = 3, .maps = 3, .unmaps = 0}));
  EXPECT_EQ((*window)->UseOf(NodeId(2)), (NodeWindowUse{.chunks = 1, .chunks_max = 1, .maps = 2, .unmaps = 0}));

  remove({0, 1});  // from a full window, both
  EXPECT_EQ((*window)->UseOf(NodeId(1)), (NodeWindowUse{.chunks = 1, .chunks_max = 3, .maps = 3, .unmaps = 2}));
  now += std::chrono::milliseconds(50);
  setup(2, 0);
  EXPECT_EQ((*window)->stats().reused_soon, 1u);
  now += std::chrono::milliseconds(1);
  setup(2, 1);
  EXPECT_EQ((*window)->stats().reused_soon, 1u) << "later than the option says";
  setup(2, 2);  // takes the last chunk from node 1 without a removal
  EXPECT_EQ((*window)->UseOf(NodeId(1)), NodeWindowUse());
  EXPECT_THAT(
      (*window)->UseByNode(),
      UnorderedElementsAre(Pair(NodeId(2), NodeWindowUse{.chunks = 4, .chunks_max = 4, .maps = 5, .unmaps = 0})));
  EXPECT_EQ((*window)->mapped_chunks_now(), 4u);

  now += std::chrono::seconds(1);
  const WindowStats stats = (*window)->stats();
  EXPECT_EQ(stats.maps, 8u);
  EXPECT_EQ(stats.unmaps, 2u);
  EXPECT_EQ(stats.map_rates.last_1s, 8);
  EXPECT_EQ(stats.map_rates.last_10s, 0.8);
  EXPECT_EQ(stats.unmap_rates.last_1s, 2);
  EXPECT_EQ(stats.mapped_chunks_max, 4u);
  (*window)->Clear();
  EXPECT_EQ((*window)->mapped_chunks_now(), 0u);
  EXPECT_THAT((*window)->UseByNode(), IsEmpty());
  setup(1, 0);
  EXPECT_EQ((*window)->stats().reused_soon, 1u);
}

// A node's counters go with its mappings, so what a guest can make the host keep is bounded by the window.
TEST_F(WindowTest, NodesThatHaveNothingMappedTakeNoMemory) {
  TestFile file("nodes");
  file.Fill(1);
  for (uint64_t node = 1; node <= 1000; ++node) {
    source_.paths[NodeId(node)] = file.path();
    ASSERT_EQ(SetupMapping(node, 0, kChunk, kRead, (node % 4) * kChunk), 0);
  }
  EXPECT_THAT(window_->UseByNode(), SizeIs(4));
  EXPECT_THAT(window_->ChunksByNode(), SizeIs(4));
}

TEST_F(WindowTest, RequestsRaceOnSeveralThreads) {
  TestFile file("race");
  file.Fill(1024);
  for (uint64_t node = 1; node <= 3; ++node) source_.paths[NodeId(node)] = file.path();
  std::vector<std::thread> threads;
  for (uint64_t node = 1; node <= 3; ++node) {
    threads.emplace_back([this, node] {
      FakeSource source;
      source.paths = source_.paths;
      for (uint64_t i = 0; i < 300; ++i) {
        const fuse_setupmapping_in in{.fh = 0,
                                      .foffset = (i % 2) * kChunk,
                                      .len = kChunk,
                                      .flags = i % 3 == 0 ? kRead | kWrite : kRead,
                                      .moffset = (i * node % 4) * kChunk};
        EXPECT_TRUE(window_->Setup(NodeId(node), in, source).ok());
        const fuse_removemapping_one one{.moffset = ((i + node) % 4) * kChunk, .len = kChunk};
        EXPECT_TRUE(window_->Remove(NodeId(node), std::span(&one, 1)).ok());
        window_->FileSizeSeen(NodeId(node), ByteCount(1024 * kPage));
        EXPECT_LE(window_->stats().mapped_chunks, 4u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(window_->stats().maps, 900u);
  window_->Clear();
  for (uint64_t at = 0; at < kSize; at += kChunk) EXPECT_EQ(Load(at), std::nullopt);
}

}  // namespace
}  // namespace daxvmm::dax
