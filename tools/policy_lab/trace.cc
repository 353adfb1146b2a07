#include "tools/policy_lab/trace.h"

#include <unordered_map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace daxvmm::lab {
namespace {

constexpr size_t kMaxFiles = 1'000'000;
constexpr size_t kMaxOps = 50'000'000;
constexpr uint64_t kMaxSize = uint64_t{1} << 40;
constexpr uint64_t kMaxThinkUs = 3'600'000'000;

struct Verb {
  absl::string_view word;
  OpKind kind;
  size_t numbers;  // after the file
};
constexpr Verb kVerbs[] = {
    {"open", OpKind::kOpen, 0},     {"close", OpKind::kClose, 0}, {"stat", OpKind::kStat, 0},
    {"read", OpKind::kRead, 2},     {"write", OpKind::kWrite, 2}, {"touch", OpKind::kTouch, 2},
    {"unlink", OpKind::kUnlink, 0},
};

absl::Status Wrong(size_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

bool Number(absl::string_view text, uint64_t limit, uint64_t* value) {
  return absl::SimpleAtoi(text, value) && *value <= limit;
}

}  // namespace

absl::StatusOr<Trace> ParseTrace(absl::string_view name, absl::string_view text) {
  Trace trace;
  trace.name = std::string(name);
  std::unordered_map<std::string, FileId> names;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    if (trace.ops.size() >= kMaxOps) return Wrong(number, "too many operations");
    if (words[0] == "think") {
      uint64_t us = 0;
      if (words.size() != 2 || !Number(words[1], kMaxThinkUs, &us))
        return Wrong(number, "expected: think MICROSECONDS");
      trace.Think(static_cast<Nanos>(us) * 1000);
      continue;
    }
    if (words[0] == "file") {
      uint64_t size = 0;
      const bool huge = words.size() == 4 && words[3] == "huge";
      if ((words.size() != 3 && !huge) || !Number(words[2], kMaxSize, &size)) {
        return Wrong(number, "expected: file NAME BYTES [huge]");
      }
      if (trace.files.size() >= kMaxFiles) return Wrong(number, "too many files");
      if (!names.emplace(std::string(words[1]), trace.files.size()).second) return Wrong(number, "file named twice");
      trace.AddFile(size, huge);
      continue;
    }
    const Verb* verb = nullptr;
    for (const Verb& candidate : kVerbs) {
      if (candidate.word == words[0]) verb = &candidate;
    }
    if (verb == nullptr) return Wrong(number, absl::StrCat("unknown operation \"", words[0], "\""));
    if (words.size() != 2 + verb->numbers) return Wrong(number, absl::StrCat("wrong number of words after ", words[0]));
    const auto file = names.find(std::string(words[1]));
    if (file == names.end()) return Wrong(number, "no such file");
    Op op{.kind = verb->kind, .file = file->second};
    if (verb->numbers == 2 && (!Number(words[2], kMaxSize, &op.offset) || !Number(words[3], kMaxSize, &op.length) ||
                               op.offset + op.length > kMaxSize)) {
      return Wrong(number, "expected an offset and a length");
    }
    trace.ops.push_back(op);
  }
  return trace;
}

std::string FormatTrace(const Trace& trace) {
  std::string text;
  for (size_t i = 0; i < trace.files.size(); ++i) {
    absl::StrAppend(&text, "file f", i, " ", trace.files[i].size, trace.files[i].huge ? " huge\n" : "\n");
  }
  for (const Op& op : trace.ops) {
    if (op.kind == OpKind::kThink) {
      absl::StrAppend(&text, "think ", op.length / 1000, "\n");
      continue;
    }
    for (const Verb& verb : kVerbs) {
      if (verb.kind != op.kind) continue;
      absl::StrAppend(&text, verb.word, " f", op.file);
      if (verb.numbers == 2) absl::StrAppend(&text, " ", op.offset, " ", op.length);
      absl::StrAppend(&text, "\n");
    }
  }
  return text;
}

}  // namespace daxvmm::lab
