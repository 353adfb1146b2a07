#include "control/ctl/top/layout.h"

#include <clocale>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kChunk = 2 << 20;
const absl::Time kNow = absl::FromUnixSeconds(1764070532);  // 2025-11-25 11:35:32 UTC

class LayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(std::setlocale(LC_CTYPE, "C.UTF-8"), nullptr);
    scene_.machine = "/run/vm.sock";
    scene_.model = &model_;
    scene_.now = kNow;
    scene_.zone = absl::UTCTimeZone();
    auto& counts = scene_.following.counts.emplace();
    counts.set_generation(7);
    counts.set_converged(12);
    counts.set_attributes_cached(2);
    counts.mutable_longest_wait()->set_nanos(800'000'000);
    counts.set_noticed_held_open(1);
  }
  void TearDown() override { std::setlocale(LC_CTYPE, "C"); }

  static v1::LiveFile File(uint64_t node, const std::string& path, uint64_t size, uint32_t chunks) {
    v1::LiveFile file;
    file.set_share("data");
    file.set_node_id(node);
    file.set_path(path);
    file.set_size_bytes(size);
    file.set_decision_dax(chunks != 0);
    file.set_told_dax(true);
    file.set_decision_rule("size");
    file.set_convergence(v1::CONVERGENCE_CONVERGED);
    file.set_mapped_chunks(chunks);
    file.set_setup_mappings(2 * chunks);
    file.set_reads(node);
    return file;
  }

  static void Map(uint64_t node, uint64_t chunk, uint64_t chunks, Snapshot* snapshot) {
    for (uint64_t i = chunk; i < chunk + chunks; ++i) {
      auto& mapping = snapshot->mappings.items.emplace_back();
      mapping.set_node_id(node);
      mapping.set_window_offset(i * kChunk);
      mapping.set_length_bytes(kChunk);
    }
  }

  static std::shared_ptr<Snapshot> Example() {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->time = kNow;
    snapshot->generation = 7;
    snapshot->source.set_kind(v1::PolicySource::KIND_REQUEST);
    snapshot->source.set_detail("uid 0");
    snapshot->source.mutable_effective_time()->set_seconds(absl::ToUnixSeconds(kNow) - 3600);
    snapshot->machine.emplace().set_state(v1::Machine::STATE_RUNNING);
    snapshot->machine->mutable_start_time()->set_seconds(absl::ToUnixSeconds(kNow) - 11520);
    snapshot->share = "data";
    auto& data = snapshot->windows.emplace_back();
    data.set_share("data");
    data.set_capacity_bytes(256 << 20);
    data.set_mount_mode(v1::MOUNT_MODE_PER_FILE);
    data.set_mapped_chunks(70);
    data.set_mapped_chunks_max(90);
    data.set_maps(1234);
    data.set_unmaps(1164);
    data.mutable_map_rate()->set_over_1s(12);
    data.mutable_map_rate()->set_over_10s(3.25);
    data.mutable_map_rate()->set_over_60s(0.5);
    data.set_quota_bytes(128 << 20);
    data.set_quota_reached(true);
    data.set_repairs(1);
    data.set_denied(77);
    auto& src = snapshot->windows.emplace_back();
    src.set_share("src");
    src.set_mount_mode(v1::MOUNT_MODE_NOT_MOUNTED);
    Map(2, 0, 60, snapshot.get());
    Map(5, 66, 10, snapshot.get());
    snapshot->files.items = {File(2, "var/lib/postgresql/15/main/base/16384/16401", 120 << 20, 60),
                             File(5, "r\xc3\xa9sum\xc3\xa9/\xe4\xbd\xa0\xe5\xa5\xbd.bin", 20 << 20, 10),
                             File(9, "caf\\xe9\x1b[2J.txt", 32767, 0)};
    snapshot->files.items[1].set_overridden(true);
    snapshot->files.items[2].set_convergence(v1::CONVERGENCE_ATTRIBUTES_CACHED);
    snapshot->files.items[2].mutable_attributes_left()->set_nanos(400'000'000);
    snapshot->files.items[2].clear_told_dax();
    snapshot->files.total = 3;
    return snapshot;
  }

  // Two answers, so that there are rates.
  void TakeExample() {
    auto before = Example();
    before->time = kNow - absl::Seconds(2);
    before->windows[0].set_maps(1210);
    model_.Take(before);
    model_.Take(Example());
  }

  std::string Drawn(int rows, int columns) {
    const Picture picture = Layout(scene_, rows, columns);
    EXPECT_EQ(picture.frame.size(), static_cast<size_t>(rows));
    for (const Line& line : picture.frame) EXPECT_LE(line.used(), columns) << line.Text();
    return Text(picture.frame);
  }

  Model model_;
  Scene scene_;
};

// The picture of docs/top.md, which so stays true.
TEST_F(LayoutTest, EightyByTwentyFour) {
  auto snapshot = Example();
  auto& windows = snapshot->windows;
  auto& files = snapshot->files.items;
  for (int i = 0; i < 9; ++i) {
    files.push_back(File(20 + i, absl::StrFormat("usr/lib/x86_64-linux-gnu/libexample-%d.so.%d.2", i, i),
                         (300 << 10) << i, i < 3 ? 1 : 0));
    if (i < 3) Map(20 + i, 80 + 2 * i, 1, snapshot.get());
  }
  SortFiles(scene_.view.order, &files);
  snapshot->files.total = 57;
  const uint64_t maps[] = {0, 3, 9, 12, 20, 41, 60, 66, 66, 71, 78, 80, 80, 80, 92};
  uint64_t i = 0;
  for (const uint64_t count : maps) {
    auto earlier = std::make_shared<Snapshot>(*snapshot);
    earlier->time = kNow - absl::Seconds(15 - i++);
    earlier->windows[0].set_maps(windows[0].maps() - 92 + count);
    earlier->windows[0].set_unmaps(windows[0].unmaps() - 15 + i);
    model_.Take(earlier);
  }
  const std::string drawn = Drawn(24, 80);
  std::ifstream document("docs/top.md");
  const std::string text((std::istreambuf_iterator<char>(document)), std::istreambuf_iterator<char>());
  EXPECT_THAT(text, HasSubstr("```\n" + drawn + "```\n"));
}

TEST_F(LayoutTest, WithoutUtf8EverythingIsAscii) {
  TakeExample();
  scene_.charset = Charset::kAscii;
  std::setlocale(LC_CTYPE, "C");
  const std::string drawn = Drawn(24, 80);
  for (const char c : drawn) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  EXPECT_THAT(drawn, HasSubstr("r\\xc3\\xa9s~"));
  EXPECT_THAT(drawn, HasSubstr("12.0 3.2 0.5/s #"));
}

TEST_F(LayoutTest, EverySizeIsFilledAndNothingIsWider) {
  TakeExample();
  for (const bool help : {false, true}) {
    scene_.view.help = help;
    for (int rows = 1; rows < 60; ++rows) {
      for (const int columns : {1, 5, 20, 39, 40, 41, 57, 80, 99, 120, 200, 300}) Drawn(rows, columns);
    }
  }
}

TEST_F(LayoutTest, FortyByTenIsTheLeast) {
  TakeExample();
  EXPECT_EQ(Drawn(10, 40), R"(
daxvmm /run/vm.sock  connected  11:35:32
window  [###---] 70/128 55%  peak 90
     0  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA..
  128M  .BBBBB..........................
guest   [####~o] moving: 12 converged, …
  DAX >CHUNKS  READS PATH
A yes      60      2 var/lib/post…/16401
B yes*     10      5 résumé/你好.bin
  no        0      9 caf\xe9\x1b[2J.txt
 q quit  ? help               every 1 s
)" + 1);
  EXPECT_EQ(Drawn(9, 40),
            "This terminal has 40x9,\n"
            "but 40x10 are needed.\n"
            "q quits.\n\n\n\n\n\n\n");
  EXPECT_THAT(Drawn(24, 39), HasSubstr("39x24"));
}

TEST_F(LayoutTest, AWideTerminalHasMoreColumns) {
  TakeExample();
  const std::string drawn = Drawn(40, 160);
  for (const char* heading : {"OPEN", "WRITES", "RULE"}) EXPECT_THAT(drawn, HasSubstr(heading));
  EXPECT_THAT(drawn, HasSubstr("var/lib/postgresql/15/main/base/16384/16401"));
}

TEST_F(LayoutTest, BeforeTheFirstAnswer) {
  const std::string drawn = Drawn(24, 80);
  EXPECT_THAT(drawn, HasSubstr("connecting"));
  scene_.connection.waiting_since = kNow - absl::Seconds(4);
  EXPECT_THAT(Drawn(24, 80), HasSubstr("connecting, no answer for 4s"));
}

TEST_F(LayoutTest, ALostConnectionIsSaidAndWhatWasKnownStays) {
  TakeExample();
  scene_.connection = {.up = false, .error = "/run/vm.sock: Connection refused"};
  const std::string drawn = Drawn(24, 80);
  EXPECT_THAT(drawn, HasSubstr("NO CONNECTION"));
  EXPECT_THAT(drawn, HasSubstr("\nerror   Connection refused\n"));
  EXPECT_THAT(drawn, HasSubstr("70/128"));
  scene_.connection = {.up = true, .error = "", .waiting_since = kNow - absl::Seconds(3)};
  EXPECT_THAT(Drawn(24, 80), HasSubstr("no answer for 3s"));
}

TEST_F(LayoutTest, WhatTheServerRefusesIsSaidInItsPlace) {
  auto snapshot = Example();
  snapshot->mappings = {.items = {}, .total = 0, .error = "too old"};
  snapshot->files = {.items = {}, .total = 0, .error = "PERMISSION_DENIED: no"};
  snapshot->policy_error = "PERMISSION_DENIED: policy";
  snapshot->machine.reset();
  model_.Take(snapshot);
  scene_.following = {.counts = std::nullopt, .error = "too many watch"};
  const std::string drawn = Drawn(24, 80);
  EXPECT_THAT(drawn, HasSubstr("map     too old\n"));
  EXPECT_THAT(drawn, HasSubstr("policy  PERMISSION_DENIED: policy\n"));
  EXPECT_THAT(drawn, HasSubstr("guest   too many watch\n"));
  EXPECT_THAT(drawn, HasSubstr("  PERMISSION_DENIED: no\n"));
  EXPECT_THAT(drawn, Not(HasSubstr("running")));
}

TEST_F(LayoutTest, AShareWithoutAWindowGivesItsRoomToTheFiles) {
  auto snapshot = Example();
  snapshot->share = "src";
  model_.Take(snapshot);
  const std::string drawn = Drawn(24, 80);
  EXPECT_THAT(drawn, HasSubstr("share    data 70/128 [src]\n"));
  EXPECT_THAT(drawn, HasSubstr("window  none"));
  EXPECT_THAT(drawn, HasSubstr("not mounted\n"));
  EXPECT_THAT(drawn, Not(HasSubstr("map  ")));
}

TEST_F(LayoutTest, ALargeWindowIsDrawnByDensity) {
  auto snapshot = Example();
  snapshot->windows[0].set_capacity_bytes(uint64_t{8} << 30);
  model_.Take(snapshot);
  const std::string drawn = Drawn(24, 80);
  // 4096 chunks in at most 6 rows of 64: 16 in a character. 60 of file A are 3 and three quarters of one; those of B
  // begin in the fifth one, 10 of 16.
  EXPECT_THAT(drawn, HasSubstr("a character is 32 MiB"));
  EXPECT_THAT(drawn, HasSubstr("     0  AAAAB....."));
  EXPECT_THAT(drawn, HasSubstr("\n    2G  ....."));
}

TEST_F(LayoutTest, ManySharesScrollToTheSelectedOne) {
  auto snapshot = Example();
  for (int i = 0; i < 30; ++i) snapshot->windows.emplace_back().set_share(absl::StrCat("share-number-", i));
  snapshot->share = "share-number-20";
  model_.Take(snapshot);
  EXPECT_THAT(Drawn(24, 80), HasSubstr("[share-number-20]"));
  snapshot = std::make_shared<Snapshot>(*snapshot);
  snapshot->share = std::string(300, 'x');
  snapshot->windows.emplace_back().set_share(snapshot->share);
  model_.Take(snapshot);
  Drawn(24, 80);
}

TEST_F(LayoutTest, ScrollingAndItsEnd) {
  auto snapshot = Example();
  snapshot->files.items.clear();
  for (int i = 0; i < 50; ++i) snapshot->files.items.push_back(File(100 + i, absl::StrFormat("f%02d", i), 1, 1));
  snapshot->files.total = 50;
  model_.Take(snapshot);
  const Picture picture = Layout(scene_, 24, 80);
  EXPECT_EQ(picture.list.files, 50);
  EXPECT_GE(picture.list.rows, 8);
  EXPECT_THAT(Text(picture.frame), HasSubstr("f00"));
  scene_.view.scroll = 1000;
  const std::string end = Drawn(24, 80);
  EXPECT_THAT(end, HasSubstr("f49\n q quit"));
  EXPECT_THAT(end, Not(HasSubstr("f00")));
}

TEST_F(LayoutTest, HelpAndPause) {
  TakeExample();
  scene_.view.help = true;
  scene_.view.paused = true;
  const std::string drawn = Drawn(24, 80);
  EXPECT_THAT(drawn, HasSubstr("PAUSED"));
  EXPECT_THAT(drawn, HasSubstr("next share"));
  EXPECT_THAT(drawn, HasSubstr("another file"));
  EXPECT_THAT(Drawn(24, 40), HasSubstr("another file")) << "below the keys";
}

TEST_F(LayoutTest, LettersAreTheSameInMapAndList) {
  TakeExample();
  const Picture picture = Layout(scene_, 24, 80);
  std::vector<const Span*> of_b;
  for (const Line& line : picture.frame) {
    for (const Span& span : line.spans()) {
      if (span.style.ink == Ink::kFile && span.style.letter == 1) of_b.push_back(&span);
    }
  }
  ASSERT_EQ(of_b.size(), 3u) << "a stretch of the map, and of its row the letter and the path";
  EXPECT_EQ(of_b[0]->text, "BBBBBBBBBB");
  EXPECT_EQ(of_b[1]->text, "B");
}

}  // namespace
}  // namespace daxvmm::control::top
