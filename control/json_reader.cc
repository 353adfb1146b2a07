#include "control/json_reader.h"

#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

class Reader {
 public:
  explicit Reader(absl::string_view text) : rest_(text) {}

  absl::StatusOr<JsonValue> Whole() {
    ASSIGN_OR_RETURN(JsonValue value, Value(0));
    SkipSpace();
    if (!rest_.empty()) return Error(absl::StrCat(Found(), " after the end"));
    return value;
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(line_, ": ", what));
  }

  // What stands here, for errors.
  std::string Found() const {
    if (rest_.empty()) return "the end of the text";
    const unsigned char c = rest_[0];
    return absl::ascii_isprint(c) ? absl::StrFormat("'%c'", c) : absl::StrFormat("byte 0x%02x", c);
  }

  void SkipSpace() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\n' || rest_[0] == '\r')) {
      if (rest_[0] == '\n') ++line_;
      rest_.remove_prefix(1);
    }
  }

  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool TakeWord(absl::string_view word) {
    if (!absl::StartsWith(rest_, word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  absl::StatusOr<JsonValue> Value(int depth) {
    SkipSpace();
    if (++values_ > kMaxJsonValues) return Error(absl::StrCat("more than ", kMaxJsonValues, " values"));
    if (depth > kMaxJsonDepth) return Error(absl::StrCat("nested deeper than ", kMaxJsonDepth));
    JsonValue value;
    value.line = line_;
    if (rest_.empty()) return Error("a value is missing at the end of the text");
    const char first = rest_[0];
    if (first == '{') {
      value.kind = JsonValue::Kind::kObject;
      RETURN_IF_ERROR(Members(depth, &value.members));
    } else if (first == '[') {
      value.kind = JsonValue::Kind::kArray;
      RETURN_IF_ERROR(Items(depth, &value.items));
    } else if (first == '"') {
      value.kind = JsonValue::Kind::kString;
      ASSIGN_OR_RETURN(value.text, String());
    } else if (first == '-' || absl::ascii_isdigit(static_cast<unsigned char>(first))) {
      value.kind = JsonValue::Kind::kNumber;
      ASSIGN_OR_RETURN(value.text, Number());
    } else if (TakeWord("true")) {
      value.kind = JsonValue::Kind::kBool;
      value.boolean = true;
    } else if (TakeWord("false")) {
      value.kind = JsonValue::Kind::kBool;
    } else if (!TakeWord("null")) {
      return Error(absl::StrCat(Found(), " where a value is needed"));
    }
    return value;
  }

  absl::Status Members(int depth, std::vector<JsonMember>* members) {
    Take('{');
    SkipSpace();
    if (Take('}')) return absl::OkStatus();
    for (;;) {
      SkipSpace();
      if (rest_.empty() || rest_[0] != '"') return Error(absl::StrCat(Found(), " where a name in quotes is needed"));
      JsonMember member;
      member.line = line_;
      ASSIGN_OR_RETURN(member.name, String());
      SkipSpace();
      if (!Take(':')) return Error(absl::StrCat(Found(), " where ':' is needed"));
      ASSIGN_OR_RETURN(member.value, Value(depth + 1));
      members->push_back(std::move(member));
      SkipSpace();
      if (Take('}')) return absl::OkStatus();
      if (!Take(',')) return Error(absl::StrCat(Found(), " where ',' or '}' is needed"));
    }
  }

  absl::Status Items(int depth, std::vector<JsonValue>* items) {
    Take('[');
    SkipSpace();
    if (Take(']')) return absl::OkStatus();
    for (;;) {
      ASSIGN_OR_RETURN(JsonValue item, Value(depth + 1));
      items->push_back(std::move(item));
      SkipSpace();
      if (Take(']')) return absl::OkStatus();
      if (!Take(',')) return Error(absl::StrCat(Found(), " where ',' or ']' is needed"));
    }
  }

  absl::StatusOr<std::string> Number() {
    const absl::string_view start = rest_;
    const auto digits = [this] {
      size_t n = 0;
      while (!rest_.empty() && absl::ascii_isdigit(static_cast<unsigned char>(rest_[0]))) {
        rest_.remove_prefix(1);
        ++n;
      }
      return n;
    };
    Take('-');
    if (!Take('0') && digits() == 0) return Error("a number without digits");
    if (Take('.') && digits() == 0) return Error("a number without digits after its point");
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      if (digits() == 0) return Error("a number without digits in its exponent");
    }
    // "01" and "1x" must not pass as a number with something behind it.
    if (!rest_.empty() && absl::ascii_isalnum(static_cast<unsigned char>(rest_[0]))) {
      return Error(absl::StrCat(Found(), " in a number"));
    }
    return std::string(start.substr(0, start.size() - rest_.size()));
  }

  absl::StatusOr<uint32_t> FourHexDigits() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      if (rest_.empty() || !absl::ascii_isxdigit(static_cast<unsigned char>(rest_[0]))) {
        return Error("\\u needs four hexadecimal digits");
      }
      const char c = absl::ascii_tolower(static_cast<unsigned char>(rest_[0]));
      value = value << 4 | static_cast<uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
      rest_.remove_prefix(1);
    }
    return value;
  }

  absl::Status UnicodeEscape(std::string* out) {
    ASSIGN_OR_RETURN(uint32_t code, FourHexDigits());
    if (code >= 0xdc00 && code <= 0xdfff) return Error("\\u with the second half of a surrogate pair alone");
    if (code >= 0xd800 && code <= 0xdbff) {
      if (!TakeWord("\\u")) return Error("\\u with the first half of a surrogate pair alone");
      ASSIGN_OR_RETURN(const uint32_t low, FourHexDigits());
      if (low < 0xdc00 || low > 0xdfff) return Error("\\u with the first half of a surrogate pair alone");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    const auto add = [out](uint32_t byte) { *out += static_cast<char>(byte); };
    const auto tail = [&add](uint32_t bits) { add(0x80 | (bits & 0x3f)); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xc0 | code >> 6);
      tail(code);
    } else if (code < 0x10000) {
      add(0xe0 | code >> 12);
      tail(code >> 6);
      tail(code);
    } else {
      add(0xf0 | code >> 18);
      tail(code >> 12);
      tail(code >> 6);
      tail(code);
    }
    return absl::OkStatus();
  }

  absl::Status Escape(std::string* out) {
    constexpr absl::string_view kFrom = "\"\\/bfnrt";
    constexpr absl::string_view kTo = "\"\\/\b\f\n\r\t";
    if (Take('u')) return UnicodeEscape(out);
    const size_t i = rest_.empty() ? absl::string_view::npos : kFrom.find(rest_[0]);
    if (i == absl::string_view::npos) return Error(absl::StrCat(Found(), " after '\\' in a string"));
    *out += kTo[i];
    rest_.remove_prefix(1);
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> String() {
    std::string out;
    Take('"');
    for (;;) {
      size_t plain = 0;
      while (plain < rest_.size() && rest_[plain] != '"' && rest_[plain] != '\\' &&
             static_cast<unsigned char>(rest_[plain]) >= 0x20) {
        ++plain;
      }
      out.append(rest_.data(), plain);
      rest_.remove_prefix(plain);
      if (rest_.empty()) return Error("a string without its closing quote");
      if (Take('"')) break;
      if (!Take('\\')) return Error(absl::StrCat(Found(), " in a string; control characters are written \\uNNNN"));
      RETURN_IF_ERROR(Escape(&out));
    }
    if (EscapeNonUtf8(out) != out) return Error("a string that is not UTF-8");
    return out;
  }

  absl::string_view rest_;
  int line_ = 1;
  int values_ = 0;
};

}  // namespace

absl::StatusOr<JsonValue> ReadJson(absl::string_view text) { return Reader(text).Whole(); }

absl::string_view JsonKindName(JsonValue::Kind kind) {
  switch (kind) {
    case JsonValue::Kind::kNull:
      return "null";
    case JsonValue::Kind::kBool:
      return "true or false";
    case JsonValue::Kind::kNumber:
      return "a number";
    case JsonValue::Kind::kString:
      return "a string";
    case JsonValue::Kind::kArray:
      return "an array";
    case JsonValue::Kind::kObject:
      return "an object";
  }
  return "a value";
}

}  // namespace daxvmm::control
