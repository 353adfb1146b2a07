#include "devices/virtio_fs/dax/path_pattern.h"

#include <malloc.h>

#include <chrono>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/dax/path_pattern_set.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Both ways of asking must agree.
bool Matches(const absl::StatusOr<std::string>& regex, absl::string_view path) {
  EXPECT_TRUE(regex.ok()) << regex.status();
  if (!regex.ok()) return false;
  const PathPatternSet together({*regex});
  const PathPatternSet apart({*regex}, ByteCount(1));
  EXPECT_TRUE(together.in_one_pass());
  EXPECT_FALSE(apart.in_one_pass());
  const std::vector<int> matches = together.Match(path);
  EXPECT_EQ(matches, apart.Match(path)) << *regex << " on " << path;
  return !matches.empty();
}

struct Case {
  std::string glob;
  std::vector<std::string> matching;
  std::vector<std::string> others;
};

void Check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    const absl::StatusOr<std::string> regex = GlobToRegex(one.glob);
    for (const std::string& path : one.matching) EXPECT_TRUE(Matches(regex, path)) << one.glob << " on " << path;
    for (const std::string& path : one.others) EXPECT_FALSE(Matches(regex, path)) << one.glob << " on " << path;
  }
}

TEST(GlobTest, StarsAndQuestionMarksStayWithinAComponent) {
  Check({
      {"*.so", {"a.so", ".so", "a.b.so"}, {"a/b.so", "a.so.1", "aso", "a.so/"}},
      {"lib/*", {"lib/a", "lib/.hidden"}, {"lib", "lib/a/b", "xlib/a"}},
      {"a?c", {"abc", "a.c", "a\nc"}, {"ac", "a/c", "abbc"}},
      {"*", {"a", ".a"}, {"a/b"}},
      {"*/*", {"a/b"}, {"a", "a/b/c"}},
      {"a*b*c", {"abc", "axxbxxc", "abcbc"}, {"ab", "abcd", "a/bc"}},
  });
}

TEST(GlobTest, DoubleStarIsAnyNumberOfComponents) {
  Check({
      {"**", {"a", "a/b", "a/b/c"}, {}},
      {"**/*.so", {"a.so", "x/a.so", "x/y/a.so"}, {"a.so/x", "x/a.so.1"}},
      {"lib/**", {"lib", "lib/a", "lib/a/b"}, {"libs", "libs/a", "x/lib"}},
      {"lib/**/a", {"lib/a", "lib/x/a", "lib/x/y/a"}, {"lib/xa", "lib/a/b", "a"}},
      {"**/lib/**", {"lib", "x/lib", "x/lib/y", "lib/y/z"}, {"xlib/y", "x/libs"}},
      {"a/**/**/b", {"a/b", "a/x/b"}, {"ab"}},
      {"**/**", {"a", "a/b"}, {}},
      {"a/**/b/**/c", {"a/b/c", "a/x/b/y/z/c", "a/b/b/c"}, {"a/c", "a/b", "a/bc"}},
  });
}

TEST(GlobTest, Classes) {
  Check({
      {"[abc]", {"a", "c"}, {"d", "ab"}},
      {"[a-c0-9]x", {"bx", "5x"}, {"dx", "-x"}},
      {"[!a-c]", {"d", "\xff", "\n"}, {"a", "b", "ab"}},
      {"[^a]b", {"bb"}, {"ab", "/b"}},
      {"[]a]", {"]", "a"}, {"b"}},
      {"[!]a]", {"b"}, {"]", "a"}},
      {"[a-]", {"a", "-"}, {"b"}},
      {"[-a]", {"a", "-"}, {"b"}},
      {"[\\]a]", {"]", "a"}, {"\\"}},
      {"[\\!a]", {"!", "a"}, {"b"}},
      {"[a\\-z]", {"a", "-", "z"}, {"m"}},
      {"a[+-9]b", {"a0b", "a+b", "a.b"}, {"a/b"}},  // the range spans '/'
      {"a[!x]b", {"ayb"}, {"a/b", "axb"}},
      {"[[]", {"["}, {"]"}},
      {"[*?{,}]", {"*", "?", "{", ",", "}"}, {"a"}},
      {"[\x80-\xff]", {"\x80", "\xe9", "\xff"}, {"\x7f", "a"}},
      {"[a/]", {"a"}, {"/"}},
  });
}

TEST(GlobTest, Alternatives) {
  Check({
      {"{a,b}", {"a", "b"}, {"c", "ab", "a,b"}},
      {"lib{c,m}.so{,.*}", {"libc.so", "libm.so.6"}, {"lib.so", "libc.so6"}},
      {"{a,{b,c}d}", {"a", "bd", "cd"}, {"b", "c", "ad"}},
      {"{usr/lib,lib}/**/*.so", {"lib/a.so", "usr/lib/x/a.so"}, {"usr/a.so"}},
      {"{a}", {"a"}, {"{a}"}},
      {"{*.c,*.h}", {"x.c", "y.h"}, {"x.o"}},
      {"{a|b,c}", {"a|b", "c"}, {"a", "b"}},
      {"a,b", {"a,b"}, {"a", "b"}},
      {"{[,],x}", {",", "x"}, {"["}},
      {"{\\,,\\}}", {",", "}"}, {"\\"}},
      {"x{,}", {"x"}, {}},
  });
}

TEST(GlobTest, EscapesAndBytesThatMeanSomethingElsewhere) {
  Check({
      {"\\*", {"*"}, {"a"}},
      {"\\\\", {"\\"}, {"a"}},
      {"\\[a]", {"[a]"}, {"a"}},
      {"\\{a,b\\}", {"{a,b}"}, {"a", "b"}},
      {"a]b", {"a]b"}, {}},
      {"\\a", {"a"}, {"\\a"}},
      {"a.b+c(d)|e$^", {"a.b+c(d)|e$^"}, {"axb+c(d)|e$^", "a.bbc"}},
      {"a\nb", {"a\nb"}, {"a b"}},
      {"*\n", {"x\n", "\n"}, {"x"}},
      {"caf\xe9", {"caf\xe9"}, {"caf\xc3\xa9", "cafe"}},
      {"caf\xc3\xa9", {"caf\xc3\xa9"}, {"caf\xe9"}},
      {"caf??", {"caf\xc3\xa9"}, {"caf\xe9"}},  // bytes, not characters
      {"ABC", {"ABC"}, {"abc"}},
      {"...", {"..."}, {"abc"}},
      {"a$", {"a$"}, {"a"}},
  });
}

TEST(GlobTest, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "must not be empty"},
      {std::string(1025, 'a'), "at most 1024 bytes"},
      {std::string("a\0b", 3), "NUL"},
      {"/a", "must not begin with '/'"},
      {"a//b", "empty component"},
      {"a/", "empty component"},
      {"a/../b", "component \"..\""},
      {"..", "component \"..\""},
      {"./a", "component \".\""},
      {"a**", "\"**\" must be a whole component"},
      {"**a", "\"**\" must be a whole component"},
      {"***", "\"**\" must be a whole component"},
      {"{**,a}", "\"**\" must be a whole component"},
      {"{**/a,b}", "\"**\" must be a whole component"},
      {"[a", "'[' without ']'"},
      {"[", "'[' without ']'"},
      {"[]", "'[' without ']'"},
      {"[!]", "'[' without ']'"},
      {"[a-", "'[' without ']'"},
      {"[a\\", "lone '\\'"},
      {"[z-a]", "must not run backwards"},
      {"[/]", "some byte other than '/'"},
      {"{a,b", "'{' without '}'"},
      {"{a/b", "'{' without '}'"},
      {"a}", "'}' without '{'"},
      {"a\\", "lone '\\'"},
      {"a\\/b", "'/' cannot be escaped"},
      {"{a/,b}", "a '/' within braces"},
      {"{/a,b}", "a '/' within braces"},
      {"{a,/b}", "a '/' within braces"},
      {"{a//b,c}", "a '/' within braces"},
      {std::string(9, '{') + std::string(9, '}'), "at most 8 deep"},
  };
  for (const auto& [glob, message] : cases) {
    const absl::StatusOr<std::string> regex = GlobToRegex(glob);
    EXPECT_EQ(regex.status().code(), absl::StatusCode::kInvalidArgument) << glob;
    EXPECT_THAT(std::string(regex.status().message()), HasSubstr(message)) << glob;
  }
  EXPECT_TRUE(GlobToRegex(std::string(1024, 'a')).ok());
  EXPECT_TRUE(GlobToRegex(std::string(8, '{') + std::string(8, '}')).ok());
}

TEST(SubtreeTest, IsEverythingBelow) {
  const absl::StatusOr<std::string> regex = SubtreeToRegex("usr/li*b");
  EXPECT_TRUE(Matches(regex, "usr/li*b/a"));
  EXPECT_TRUE(Matches(regex, "usr/li*b/a/\n/b"));
  EXPECT_FALSE(Matches(regex, "usr/li*b"));
  EXPECT_FALSE(Matches(regex, "usr/li*bs/a"));
  EXPECT_FALSE(Matches(regex, "usr/lib/a")) << "not a glob";
  EXPECT_FALSE(Matches(regex, "x/usr/li*b/a"));
  for (const char* bad : {"", "/a", "a/", "a//b", "a/..", "."}) EXPECT_FALSE(SubtreeToRegex(bad).ok()) << bad;
  EXPECT_FALSE(SubtreeToRegex(std::string(1025, 'a')).ok());
}

TEST(ExtensionTest, IsWhatFollowsTheLastDot) {
  const absl::StatusOr<std::string> regex = ExtensionToRegex("so");
  EXPECT_TRUE(Matches(regex, "a.so"));
  EXPECT_TRUE(Matches(regex, "x/y.z/a.b.so"));
  EXPECT_TRUE(Matches(regex, ".so"));
  EXPECT_FALSE(Matches(regex, "so"));
  EXPECT_FALSE(Matches(regex, "a.so.1"));
  EXPECT_FALSE(Matches(regex, "a.so/b"));
  EXPECT_FALSE(Matches(regex, "aso"));
  EXPECT_TRUE(Matches(ExtensionToRegex("c++"), "a.c++"));
  for (const char* bad : {"", ".so", "tar.gz", "a/b"}) EXPECT_FALSE(ExtensionToRegex(bad).ok()) << bad;
}

TEST(PathPatternSetTest, TellsWhichOnesMatch) {
  for (const ByteCount memory : {PathPatternSet::kMaxMemory, ByteCount(1)}) {
    const PathPatternSet set({*GlobToRegex("*.so"), *SubtreeToRegex("lib"), *GlobToRegex("lib/*.so")}, memory);
    EXPECT_THAT(set.Match("a.so"), ElementsAre(0));
    EXPECT_THAT(set.Match("lib/a.so"), UnorderedElementsAre(1, 2));
    EXPECT_THAT(set.Match("a"), ElementsAre());
  }
}

size_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// As much as a policy may contain, of the worst that there is; and a path that keeps all of it in question.
std::vector<std::string> Hostile(const std::string& glob) {
  std::vector<std::string> regexes;
  for (size_t used = 0; used + glob.size() + 8 <= 65536; used += glob.size() + 8) {
    const absl::StatusOr<std::string> regex = GlobToRegex(absl::StrCat(glob, "x", regexes.size()));
    EXPECT_TRUE(regex.ok()) << regex.status();
    if (!regex.ok()) break;
    regexes.push_back(*regex);
  }
  return regexes;
}

// As many as a policy may contain.
std::vector<std::string> Short(absl::string_view front, absl::string_view back) {
  std::vector<std::string> regexes;
  for (size_t i = 0; i < 4096; ++i) {
    const std::string middle = {static_cast<char>('a' + i % 16), static_cast<char>('a' + i / 16 % 16)};
    const absl::StatusOr<std::string> regex =
        GlobToRegex(absl::StrCat(front, middle, "*", std::string(1, static_cast<char>('a' + i / 256)), back));
    EXPECT_TRUE(regex.ok()) << regex.status();
    if (regex.ok()) regexes.push_back(*regex);
  }
  return regexes;
}

std::string Repeated(absl::string_view what, size_t bytes) {
  std::string text;
  while (text.size() + what.size() <= bytes) absl::StrAppend(&text, what);
  return text;
}

TEST(PathPatternSetTest, HostilePatternsTakeBoundedTimeAndMemory) {
  std::string all_but_slash_by_twos = "[";
  for (int c = 1; c < 256; c += 2) {
    if (c != '/' && c != '\\' && c != ']' && c != '[' && c != '-')
      all_but_slash_by_twos.push_back(static_cast<char>(c));
  }
  all_but_slash_by_twos += "]";
  const std::vector<std::pair<const char*, std::vector<std::string>>> sets = {
      {"stars", Hostile(Repeated("*a", 1000))},
      {"a star and question marks", Hostile(absl::StrCat("*", Repeated("?", 1000)))},
      {"a star and letters", Hostile(absl::StrCat("*", Repeated("a", 1000)))},
      {"double stars", Hostile(absl::StrCat(Repeated("**/a/", 1000), "**/a"))},
      {"classes", Hostile(absl::StrCat("*", Repeated(all_but_slash_by_twos, 1000)))},
      {"braces", Hostile(Repeated("{{{{{{{{a,*},?},aa},*a},a*},},b},c}", 1000))},
      {"alternatives", Hostile(absl::StrCat("{", Repeated("*a,", 990), "}"))},
      {"many short ones", Short("**/*", "*")},
  };
  const std::string name = Repeated("a", 255);
  const std::string deep = absl::StrCat(Repeated("a/", 4094), "a");
  const std::string wide = absl::StrCat(Repeated(absl::StrCat(name, "/"), 4090), "a");
  std::string mixed;
  std::mt19937_64 random(1);
  while (mixed.size() < 4096) mixed.push_back("abcdefgh./"[random() % 10]);
  for (const auto& [what, regexes] : sets) {
    const size_t before = AllocatedBytes();
    const auto start = std::chrono::steady_clock::now();
    const PathPatternSet set(regexes);
    EXPECT_TRUE(set.in_one_pass()) << what;
    for (const std::string& path : {name, deep, wide, std::string(4096, 'a'), mixed}) (void)set.Match(path);
    // A second or two on a busy machine; what is not linear would not come to an end.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << what;
    // The regular expressions come on top.
    EXPECT_LT(AllocatedBytes() - before, (PathPatternSet::kMaxMemory + MiB(16)).raw()) << what;
  }
}

}  // namespace
}  // namespace daxvmm::dax
