#include "devices/virtio_fs/dax/path_pattern.h"

#include <bitset>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace daxvmm::dax {
namespace {

constexpr absl::string_view kAnyByteOfAComponent = "[^/]";
constexpr absl::string_view kComponentsInFront = "(?:[^/]+/)*";
constexpr absl::string_view kComponentsBehind = "(?:/[^/]+)*";
constexpr absl::string_view kAnyPath = "[^/]+(?:/[^/]+)*";

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

// Hexadecimal for all that could mean something to RE2, bytes above ASCII included.
void AppendByte(unsigned char byte, std::string* regex) {
  if (absl::ascii_isalnum(byte)) {
    regex->push_back(static_cast<char>(byte));
  } else {
    absl::StrAppend(regex, "\\x", absl::Hex(byte, absl::kZeroPad2));
  }
}

std::string Literal(absl::string_view text) {
  std::string regex;
  for (const char c : text) AppendByte(static_cast<unsigned char>(c), &regex);
  return regex;
}

absl::Status ValidateText(absl::string_view text, size_t max_bytes) {
  if (text.empty()) return Wrong("must not be empty");
  if (text.size() > max_bytes) return Wrong(absl::StrCat("must be at most ", max_bytes, " bytes"));
  if (absl::StrContains(text, '\0')) return Wrong("must not contain a NUL byte");
  return absl::OkStatus();
}

absl::Status ValidateComponent(absl::string_view component) {
  if (component.empty()) return Wrong("must not have an empty component");
  if (component == "." || component == "..") {
    return Wrong(absl::StrCat("must not have the component \"", component, "\""));
  }
  return absl::OkStatus();
}

// Reads a glob once, from the left.
class GlobTranslator {
 public:
  explicit GlobTranslator(absl::string_view glob) : glob_(glob) {}

  absl::StatusOr<std::string> Translate() {
    std::vector<std::optional<std::string>> components;  // nullopt: "**"
    while (true) {
      if (AtDoubleStar()) {
        at_ += 2;
        if (components.empty() || components.back().has_value()) components.emplace_back(std::nullopt);
      } else {
        const size_t start = at_;
        regex_.clear();
        RETURN_IF_ERROR(Component());
        RETURN_IF_ERROR(ValidateComponent(glob_.substr(start, at_ - start)));
        components.emplace_back(std::move(regex_));
      }
      if (at_ == glob_.size()) return Join(components);
      ++at_;  // the slash
    }
  }

 private:
  static std::string Join(const std::vector<std::optional<std::string>>& components) {
    if (components.size() == 1) return components[0].value_or(std::string(kAnyPath));
    std::string joined;
    for (size_t i = 0; i < components.size(); ++i) {
      // "**" brings the slash on one side of it along.
      const bool slash = i > 0 && components[i - 1].has_value();
      if (components[i].has_value()) {
        absl::StrAppend(&joined, slash ? "/" : "", *components[i]);
      } else if (i + 1 == components.size()) {
        absl::StrAppend(&joined, kComponentsBehind);
      } else {
        absl::StrAppend(&joined, slash ? "/" : "", kComponentsInFront);
      }
    }
    return joined;
  }

  bool Has(size_t ahead) const { return at_ + ahead < glob_.size(); }
  // '\0' past the end, which no glob contains.
  char Peek(size_t ahead = 0) const { return Has(ahead) ? glob_[at_ + ahead] : '\0'; }

  bool AtDoubleStar() const { return Peek() == '*' && Peek(1) == '*' && (!Has(2) || Peek(2) == '/'); }

  // Up to the next slash outside of braces, or to the end.
  absl::Status Component() {
    size_t depth = 0;
    while (Has(0) && (depth > 0 || Peek() != '/')) {
      const char c = Peek();
      switch (c) {
        case '/':
          RETURN_IF_ERROR(SlashWithinBraces());
          break;
        case '*':
          if (Peek(1) == '*') return Wrong("\"**\" must be a whole component, outside of braces");
          absl::StrAppend(&regex_, kAnyByteOfAComponent, "*");
          break;
        case '?':
          absl::StrAppend(&regex_, kAnyByteOfAComponent);
          break;
        case '[':
          RETURN_IF_ERROR(Class());
          continue;
        case '{':
          if (++depth > kMaxBraceDepth) return Wrong(absl::StrCat("braces nest at most ", kMaxBraceDepth, " deep"));
          absl::StrAppend(&regex_, "(?:");
          break;
        case ',':
          absl::StrAppend(&regex_, depth > 0 ? "|" : ",");
          break;
        case '}':
          if (depth == 0) return Wrong("'}' without '{' (write \\} for the character)");
          --depth;
          absl::StrAppend(&regex_, ")");
          break;
        case '\\':
          ++at_;
          RETURN_IF_ERROR(ValidateEscaped());
          AppendByte(static_cast<unsigned char>(Peek()), &regex_);
          break;
        default:
          AppendByte(static_cast<unsigned char>(c), &regex_);
      }
      ++at_;
    }
    return depth == 0 ? absl::OkStatus() : Wrong("'{' without '}' (write \\{ for the character)");
  }

  // At an edge of an alternative, what stands outside would decide whether a component is empty.
  absl::Status SlashWithinBraces() {
    const char before = glob_[at_ - 1];  // the brace at least
    const char after = Peek(1);
    if (before == '{' || before == ',' || before == '/' || after == '}' || after == ',' || after == '/') {
      return Wrong("a '/' within braces must stand between other bytes of its alternative");
    }
    regex_.push_back('/');
    return absl::OkStatus();
  }

  absl::Status ValidateEscaped() const {
    if (!Has(0)) return Wrong("must not end in a lone '\\'");
    if (Peek() == '/') return Wrong("'/' cannot be escaped");
    return absl::OkStatus();
  }

  // One byte of a class, which may be escaped.
  absl::StatusOr<unsigned char> ClassByte() {
    if (Peek() == '\\') {
      ++at_;
      RETURN_IF_ERROR(ValidateEscaped());
    }
    if (!Has(0)) return Wrong("'[' without ']' (write \\[ for the character)");
    return static_cast<unsigned char>(glob_[at_++]);
  }

  absl::Status Class() {
    ++at_;
    const bool negated = Peek() == '!' || Peek() == '^';
    if (negated) ++at_;
    std::bitset<256> members;
    for (bool first = true; first || Peek() != ']'; first = false) {
      ASSIGN_OR_RETURN(const unsigned char low, ClassByte());
      unsigned char high = low;
      if (Peek() == '-' && Has(1) && Peek(1) != ']') {
        ++at_;
        ASSIGN_OR_RETURN(high, ClassByte());
        if (high < low) return Wrong("a range of a class must not run backwards");
      }
      for (unsigned byte = low; byte <= high; ++byte) members.set(byte);
    }
    ++at_;
    if (negated) members.flip();
    members.reset('/');
    if (members.none()) return Wrong("a class must match some byte other than '/'");
    AppendClass(members);
    return absl::OkStatus();
  }

  void AppendClass(const std::bitset<256>& members) {
    regex_.push_back('[');
    for (size_t low = 0; low < members.size(); ++low) {
      if (!members[low]) continue;
      size_t high = low;
      while (high + 1 < members.size() && members[high + 1]) ++high;
      AppendByte(static_cast<unsigned char>(low), &regex_);
      if (high > low) {
        regex_.push_back('-');
        AppendByte(static_cast<unsigned char>(high), &regex_);
      }
      low = high;
    }
    regex_.push_back(']');
  }

  const absl::string_view glob_;
  size_t at_ = 0;
  std::string regex_;  // of the component at hand
};

}  // namespace

absl::Status ValidateRelativePath(absl::string_view path, size_t max_bytes) {
  RETURN_IF_ERROR(ValidateText(path, max_bytes));
  if (path[0] == '/') return Wrong("must not begin with '/': it is relative to the share");
  for (const absl::string_view component : absl::StrSplit(path, '/')) RETURN_IF_ERROR(ValidateComponent(component));
  return absl::OkStatus();
}

absl::StatusOr<std::string> GlobToRegex(absl::string_view glob) {
  RETURN_IF_ERROR(ValidateText(glob, kMaxPatternBytes));
  if (glob[0] == '/') return Wrong("must not begin with '/': it is relative to the share");
  return GlobTranslator(glob).Translate();
}

absl::StatusOr<std::string> SubtreeToRegex(absl::string_view directory) {
  RETURN_IF_ERROR(ValidateRelativePath(directory, kMaxPatternBytes));
  return absl::StrCat(Literal(directory), "(?:/[^/]+)+");
}

absl::StatusOr<std::string> ExtensionToRegex(absl::string_view extension) {
  RETURN_IF_ERROR(ValidateText(extension, kMaxPatternBytes));
  if (absl::StrContains(extension, '/')) return Wrong("must not contain '/'");
  if (absl::StrContains(extension, '.')) return Wrong("must not contain '.': it is what follows the last one");
  return absl::StrCat(kComponentsInFront, "[^/]*\\.", Literal(extension));
}

}  // namespace daxvmm::dax
