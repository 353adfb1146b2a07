#include "control/json_reader.h"

#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Kind = JsonValue::Kind;

std::string Error(absl::string_view text) { return std::string(ReadJson(text).status().message()); }

TEST(JsonReaderTest, ReadsEveryKindWithItsLine) {
  const auto value =
      ReadJson(" {\n \"a\" : [ true,\r\n false, null ],\n\n\"b\":{}, \"c\": -1.5e+3, \"d\":\n \"x\" }\n\t");
  ASSERT_TRUE(value.ok()) << value.status();
  ASSERT_EQ(value->kind, Kind::kObject);
  EXPECT_EQ(value->line, 1);
  ASSERT_EQ(value->members.size(), 4u);
  const JsonMember& a = value->members[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.line, 2);
  ASSERT_EQ(a.value.items.size(), 3u);
  EXPECT_TRUE(a.value.items[0].boolean);
  EXPECT_EQ(a.value.items[1].kind, Kind::kBool);
  EXPECT_FALSE(a.value.items[1].boolean);
  EXPECT_EQ(a.value.items[1].line, 3);
  EXPECT_EQ(a.value.items[2].kind, Kind::kNull);
  EXPECT_EQ(value->members[1].line, 5);
  EXPECT_EQ(value->members[2].value.text, "-1.5e+3");
  EXPECT_EQ(value->members[3].line, 5);
  EXPECT_EQ(value->members[3].value.line, 6);
}

TEST(JsonReaderTest, UndoesEscapes) {
  EXPECT_EQ(ReadJson(R"("\"\\\/\b\f\n\r\t")")->text, "\"\\/\b\f\n\r\t");
  EXPECT_EQ(ReadJson(R"("\u0041\u00e9\u20AC\ud83d\ude00")")->text, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(ReadJson(R"("\u0000")")->text, std::string(1, '\0'));
}

TEST(JsonReaderTest, SaysWhatIsWrongAndInWhichLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "1: a value is missing"},
      {"\n\n", "3: a value is missing"},
      {"{\n\"a\": 1,\n}", "3: '}' where a name"},
      {"{\n\"a\" 1}", "2: '1' where ':'"},
      {"{\"a\": 1\n\"b\": 2}", "2: '\"' where ',' or '}'"},
      {"[1\n2]", "2: '2' where ',' or ']'"},
      {"[1,\n]", "2: ']' where a value"},
      {"{}\n{}", "2: '{' after the end"},
      {"{\"a\": tru}", "1: 't' where a value"},
      {"// x\n{}", "1: '/' where a value"},
      {"\"abc", "1: a string without its closing quote"},
      {"\"a\nb\"", "1: byte 0x0a in a string"},
      {"\"\\q\"", "1: 'q' after '\\'"},
      {"\"\\", "1: the end of the text after '\\'"},
      {"\"\\u12g4\"", "1: \\u needs four"},
      {"\"\\ud800\"", "1: \\u with the first half"},
      {"\"\\ud800\\u0041\"", "1: \\u with the first half"},
      {"\"\\udc00\"", "1: \\u with the second half"},
      {"\"\xe9\"", "1: a string that is not UTF-8"},
      {"01", "1: '1' in a number"},
      {"-", "1: a number without digits"},
      {"1.", "1: a number without digits after"},
      {"1e", "1: a number without digits in its exponent"},
      {"0x10", "1: 'x' in a number"},
      {"nan", "1: 'n' where a value"},
      {std::string("\0", 1), "1: byte 0x00 where a value"},
  };
  for (const auto& [text, start] : cases) EXPECT_THAT(Error(text), StartsWith(start)) << text;
}

TEST(JsonReaderTest, DepthAndNumberAreBounded) {
  EXPECT_TRUE(ReadJson(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')).ok());
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 500000; ++i) deep += open;
    EXPECT_THAT(Error(deep), HasSubstr("nested deeper than 32"));
  }
  std::string many = "[0";
  for (int i = 0; i < kMaxJsonValues; ++i) many += ",0";
  EXPECT_THAT(Error(many + "]"), HasSubstr("more than 200000 values"));
}

// Anything is answered, one way or the other: the sanitizers look on.
TEST(JsonReaderTest, EveryPrefixAndManyMutationsAreAnswered) {
  const std::string good = R"({"rules":[{"name":"a\u00e9\ud83d\ude00","n":-1.5e3,"l":[true,false,null]}],"d":"\\\""})";
  ASSERT_TRUE(ReadJson(good).ok());
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(ReadJson(good.substr(0, n)).ok()) << n;
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bad = good;
    for (int n = 0; n < 3; ++n) bad[random() % bad.size()] = static_cast<char>(random());
    (void)ReadJson(bad).ok();
  }
}

}  // namespace
}  // namespace daxvmm::control
