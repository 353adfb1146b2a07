// `files`, `mappings` and `window`: filters, pages and limits.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "control/testing/daxvmmctl_fixture.h"

namespace daxvmm::control {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class DaxvmmctlListTest : public DaxvmmctlTest {
 protected:
  // More than a page.
  void ManyFiles(int count) {
    controller_.files.clear();
    for (int i = 0; i < count; ++i) {
      controller_.files.push_back({.share_tag = "data",
                                   .node_id = static_cast<uint64_t>(i + 2),
                                   .path = absl::StrFormat("f%05d", i),
                                   .size = ByteCount(static_cast<uint64_t>(i)),
                                   .decision_rule = "default"});
    }
  }

  static std::string LastLine(const std::string& text) {
    const std::vector<std::string> lines = absl::StrSplit(text, '\n');
    return lines.size() < 2 ? "" : lines[lines.size() - 2];
  }
};

TEST_F(DaxvmmctlListTest, FiltersChoose) {
  const auto names = [this](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"files", "--no-headers"});
    const Finished files = Ctl(flags);
    EXPECT_EQ(files.exit_code, 0) << files.err;
    std::string names;
    for (const absl::string_view line : absl::StrSplit(files.out, '\n', absl::SkipEmpty())) {
      absl::StrAppend(&names, names.empty() ? "" : " ", line.substr(line.rfind(' ') + 1));
    }
    return names;
  };
  EXPECT_EQ(names({}), "big.bin caf\\xe9\\x1b[2J.txt main.c");
  EXPECT_EQ(names({"--dax"}), "big.bin");
  EXPECT_EQ(names({"--no-dax", "--share", "src"}), "main.c");
  EXPECT_EQ(names({"--open"}), "big.bin");
  EXPECT_EQ(names({"--no-mapped", "--told", "yes"}), "caf\\xe9\\x1b[2J.txt");
  EXPECT_EQ(names({"--state", "cached"}), "caf\\xe9\\x1b[2J.txt");
  EXPECT_EQ(names({"--overridden"}), "");
  EXPECT_EQ(names({"--sort", "size"}), "big.bin caf\\xe9\\x1b[2J.txt main.c");
  EXPECT_EQ(names({"--subtree", "lib"}), "");
  EXPECT_THAT(Ctl({"files", "--dax"}).out, StartsWith("Live files that match: 1, policy generation 1\n"));
}

TEST_F(DaxvmmctlListTest, WalksAllPages) {
  ManyFiles(2500);
  const Finished files = Ctl({"files"});
  EXPECT_EQ(files.exit_code, 0) << files.err;
  EXPECT_THAT(files.out, StartsWith("Live files: 2500, policy generation 1\n"));
  EXPECT_EQ(std::count(files.out.begin(), files.out.end(), '\n'), 2502);
  EXPECT_THAT(LastLine(files.out), EndsWith("  f02499"));
  const Finished json = Ctl({"files", "-o", "json"});
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_THAT(json.out, StartsWith("{\n \"files\": [\n  {\n   \"share\": \"data\",\n"));
  EXPECT_THAT(json.out, HasSubstr("  },\n  {\n   \"share\": \"data\",\n   \"node_id\": \"2501\",\n"));
  EXPECT_THAT(
      json.out,
      EndsWith("\n  }\n ],\n \"generation\": \"1\",\n \"next_page_token\": \"\",\n \"total_size\": \"2500\"\n}\n"));
}

TEST_F(DaxvmmctlListTest, ALimitSaysHowManyThereAre) {
  ManyFiles(1500);
  const Finished files = Ctl({"files", "--limit", "1200"});
  EXPECT_THAT(files.out, StartsWith("Live files: 1200 of 1500 shown, policy generation 1\n"));
  EXPECT_THAT(LastLine(files.out), EndsWith("  f01199"));
  EXPECT_THAT(Ctl({"files", "--limit", "2000"}).out, StartsWith("Live files: 1500, policy generation 1\n"));
  const Finished json = Ctl({"files", "--limit", "1", "-o", "json"});
  EXPECT_THAT(json.out, HasSubstr("\"total_size\": \"1500\""));
  EXPECT_EQ(json.out.find("f00001"), std::string::npos);
}

TEST_F(DaxvmmctlListTest, AnEmptyListIsOne) {
  controller_.files.clear();
  EXPECT_THAT(Ctl({"files"}).out, StartsWith("Live files: 0, policy generation 1\nSHARE  SIZE "));
  EXPECT_THAT(Ctl({"files", "-o", "json"}).out, StartsWith("{\n \"files\": [],\n \"generation\": \"1\""));
}

TEST_F(DaxvmmctlListTest, EveryFormatOfFiles) {
  EXPECT_THAT(Ctl({"files", "--share", "src", "-o", "text"}).out,
              StartsWith("files {\n  share: \"src\"\n  node_id: 2\n  path: \"main.c\"\n  size_bytes: 4096\n"));
}

TEST_F(DaxvmmctlListTest, Mappings) {
  controller_.mappings = {{.share_tag = "data",
                           .at = WindowOffset(MiB(2).raw()),
                           .length = MiB(2),
                           .guest_address = GuestPhysAddr(0x100200000),
                           .node_id = 2,
                           .path = "big.bin",
                           .from = FileOffset(0),
                           .writable = true,
                           .policy_generation = 1,
                           .mapped_at = absl::Now() - absl::Minutes(3)},
                          {.share_tag = "data",
                           .at = WindowOffset(MiB(4).raw()),
                           .length = KiB(4),
                           .guest_address = GuestPhysAddr(0x100400000),
                           .node_id = 9,
                           .from = FileOffset(MiB(2).raw()),
                           .policy_generation = 1,
                           .mapped_at = absl::Now() - absl::Hours(3)}};
  Finished mappings = Ctl({"mappings"});
  EXPECT_EQ(mappings.exit_code, 0) << mappings.err;
  EXPECT_EQ(mappings.out,
            "Mappings: 2\n"
            "SHARE  OFFSET   SIZE     AT  ACCESS      GEN  MAPPED     PATH\n"
            "data    2 MiB  2 MiB    0 B  read-write    1  3 min ago  big.bin\n"
            "data    4 MiB  4 KiB  2 MiB  read-only     1  3 h ago    (node 9)\n");
  mappings = Ctl({"mappings", "--share", "data", "--path", "big.bin", "-o", "wide", "--no-headers"});
  EXPECT_THAT(mappings.out, MatchesRegex("data  2 MiB  2 MiB  0 B  read-write  1  20..-..-.. ..:..:.. UTC  "
                                         "0x100200000  2  big.bin\n"));
  EXPECT_THAT(Ctl({"mappings", "--limit", "1"}).out, StartsWith("Mappings: 1 of 2 shown\n"));
  EXPECT_THAT(Ctl({"mappings", "-o", "json"}).out, HasSubstr("\"guest_address\": \"4297064448\""));
  EXPECT_EQ(Ctl({"mappings", "--path", "big.bin"}).exit_code, 2) << "of which share?";
}

TEST_F(DaxvmmctlListTest, WindowGoesOnWithWatch) {
  const Finished watched = Ctl({"window", "--watch=0.1", "--timeout", "0.5", "-o", "json"});
  EXPECT_EQ(watched.exit_code, 3);
  EXPECT_THAT(watched.out, StartsWith("{\"windows\":[{\"share\":\"data\","));
  EXPECT_THAT(watched.out, HasSubstr("\"sample_time\":\"20"));
  const std::vector<std::string> objects = absl::StrSplit(watched.out, '\n', absl::SkipEmpty());
  EXPECT_GE(objects.size(), 2u) << watched.out;
  for (const std::string& object : objects) EXPECT_THAT(object, EndsWith("}"));
  const Finished table = Ctl({"window", "--watch=0.1", "--timeout", "0.5", "--share", "data"});
  EXPECT_THAT(table.out, MatchesRegex("(20..-..-.. ..:..:.. UTC\nSHARE .*\ndata .*\n)+"));
}

}  // namespace
}  // namespace daxvmm::control
