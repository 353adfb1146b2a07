#include "base/size_text.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"

namespace daxvmm {
namespace {

TEST(ParseSizeTest, TakesWhatPeopleWrite) {
  struct Case {
    const char* text;
    uint64_t bytes;
  };
  for (const Case& c :
       {Case{"0", 0}, Case{"4096", 4096}, Case{"1K", 1024}, Case{"512K", 512 << 10}, Case{"512k", 512 << 10},
        Case{"64M", 64 << 20}, Case{"64MiB", 64 << 20}, Case{"64mib", 64 << 20}, Case{"2G", uint64_t{2} << 30},
        Case{"1TiB", uint64_t{1} << 40}, Case{"007K", 7 << 10}, Case{"9223372036854775807", (uint64_t{1} << 63) - 1},
        Case{"8388607T", uint64_t{8388607} << 40}}) {
    const absl::StatusOr<ByteCount> size = ParseSize(c.text);
    ASSERT_TRUE(size.ok()) << size.status();
    EXPECT_EQ(size->raw(), c.bytes) << c.text;
  }
}

TEST(ParseSizeTest, RefusesAllElseAndQuotesIt) {
  for (const char* text : {"",
                           " ",
                           "K",
                           "iB",
                           "KiB",
                           "-1",
                           "+1",
                           " 1",
                           "1 ",
                           "1 K",
                           "1\tM",
                           "1\n",
                           "0x10",
                           "1.5G",
                           "1KB",
                           "1B",
                           "12iB",
                           "1P",
                           "1KK",
                           "1KiBiB",
                           "K1",
                           "1e3",
                           "9223372036854775808",
                           "18446744073709551616",
                           "8388608T",
                           "9007199254740992K",
                           "99999999999999999999999999",
                           "\xff"}) {
    const absl::Status status = ParseSize(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "'" << text << "'";
    EXPECT_NE(std::string(status.message()).find(text), std::string::npos) << status;
  }
  EXPECT_FALSE(ParseSize(absl::string_view("1\0", 2)).ok());
}

TEST(FormatSizeTest, UsesTheLargestUnitThatDivides) {
  EXPECT_EQ(FormatSize(ByteCount(0)), "0 B");
  EXPECT_EQ(FormatSize(ByteCount(17)), "17 B");
  EXPECT_EQ(FormatSize(ByteCount(1025)), "1025 B");
  EXPECT_EQ(FormatSize(KiB(1)), "1 KiB");
  EXPECT_EQ(FormatSize(KiB(1536)), "1536 KiB");
  EXPECT_EQ(FormatSize(MiB(2)), "2 MiB");
  EXPECT_EQ(FormatSize(GiB(3)), "3 GiB");
  EXPECT_EQ(FormatSize(GiB(1 << 10)), "1 TiB");
  EXPECT_EQ(FormatSize(GiB(1 << 20)), "1024 TiB") << "there is no larger unit";
}

}  // namespace
}  // namespace daxvmm
