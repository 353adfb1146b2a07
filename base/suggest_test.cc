#include "base/suggest.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm {
namespace {

const std::vector<std::string> kWords = {"policy", "files", "window", "watch", "mappings", "machine", "-o", "--output"};

TEST(SuggestTest, FindsWhatWasMeant) {
  EXPECT_EQ(Nearest("polcy", kWords), "policy");   // a letter is missing
  EXPECT_EQ(Nearest("polciy", kWords), "policy");  // two are swapped
  EXPECT_EQ(Nearest("filess", kWords), "files");   // one too many
  EXPECT_EQ(Nearest("windaw", kWords), "window");  // one is wrong
  EXPECT_EQ(Nearest("mapp", kWords), "mappings");  // the beginning
  EXPECT_EQ(Nearest("--outptu", kWords), "--output");
  EXPECT_EQ(Nearest("machina", kWords), "machine");
  EXPECT_EQ(DidYouMean("wtach", kWords), "; did you mean watch?");
}

TEST(SuggestTest, IsSilentWhereNothingIsNear) {
  for (const char* word : {"", "xyzzy", "w", "ma", "-q", "pxlxcx"}) EXPECT_EQ(Nearest(word, kWords), "") << word;
  EXPECT_EQ(Nearest(std::string(65, 'p'), kWords), "");
  EXPECT_EQ(DidYouMean("xyzzy", kWords), "");
  EXPECT_EQ(Nearest("a", {}), "");
}

}  // namespace
}  // namespace daxvmm
