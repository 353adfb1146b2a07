#include "control/ctl/completion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/ctl/commands.h"
#include "devices/virtio_fs/dax/policy_names.h"

namespace daxvmm::control {
namespace {

std::string Spelled(const FlagRow& row) { return absl::StrCat(row.name.size() == 1 ? "-" : "--", row.name); }

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// The row that `spelled`, "--output", means; before the command is known any of that name.
const FlagRow* RowOf(const std::string& spelled, CommandId command) {
  const std::string name = spelled.substr(absl::StartsWith(spelled, "--") ? 2 : 1);
  if (const FlagRow* row = FlagOf(name, command)) return row;
  for (const FlagRow& row : Flags()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// What has been typed before the word at the cursor.
struct Typed {
  std::vector<std::string> words;  // no flags
  CommandId command = CommandId::kNone;
  size_t operands = 0;            // words behind those of the command
  const FlagRow* open = nullptr;  // a flag whose value is at the cursor
  bool flags_are_over = false;    // "--" was there
  Invocation line;                // what the flags say
};

void FindCommand(Typed* typed) {
  for (const CommandSpec& spec : Commands()) {
    const std::vector<std::string> own = absl::StrSplit(spec.words, ' ');
    if (spec.hidden || typed->words.size() < own.size() || !std::equal(own.begin(), own.end(), typed->words.begin())) {
      continue;
    }
    typed->command = spec.id;
    typed->operands = typed->words.size() - own.size();
    return;
  }
}

Typed Read(const std::vector<std::string>& words) {
  Typed typed;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (typed.flags_are_over || word.size() < 2 || word[0] != '-') {
      typed.words.push_back(word);
      FindCommand(&typed);
      continue;
    }
    if (word == "--") {
      typed.flags_are_over = true;
      continue;
    }
    const size_t equals = word.find('=');
    const FlagRow* const row = RowOf(word.substr(0, equals), typed.command);
    if (row == nullptr) continue;
    std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (equals == std::string::npos && !row->value_name.empty() && !row->value_is_optional) {
      if (i + 2 == words.size()) {
        typed.open = row;
        break;
      }
      value = words[++i];
    }
    row->set(value, &typed.line).IgnoreError();
  }
  return typed;
}

class Completer {
 public:
  Completer(const Typed& typed, std::string start, const AskMachine& ask)
      : typed_(typed), start_(std::move(start)), ask_(ask) {}

  Candidates Run() {
    if (typed_.open != nullptr) {
      AddValues(*typed_.open, "", start_);
    } else if (!typed_.flags_are_over && absl::StartsWith(start_, "-")) {
      AddFlags();
    } else if (typed_.command == CommandId::kNone) {
      AddCommandWords(typed_.words);
    } else {
      AddOperand();
    }
    return std::move(found_);
  }

 private:
  void Add(const std::string& text, const std::string& meaning = "") {
    if (!absl::StartsWith(text, start_)) return;
    const auto same = [&text](const Candidate& one) { return one.text == text; };
    if (std::none_of(found_.list.begin(), found_.list.end(), same)) found_.list.push_back({text, FirstLine(meaning)});
  }

  // `prefix` is "--flag=" where that is part of the word, `start` what follows it.
  void AddValues(const FlagRow& row, const std::string& prefix, const std::string& start) {
    for (const std::string& word : row.words) Add(prefix + word);
    switch (row.values) {
      case Values::kAny:
      case Values::kWords:
        break;
      case Values::kShares:
      case Values::kPaths:
        for (const std::string& one : ask_(row.values, typed_.line, start)) Add(prefix + one);
        break;
      case Values::kPolicyNames:
        AddPolicyNames();
        break;
      case Values::kHostFiles:
        found_.host_files = true;
        break;
    }
  }

  void AddFlags() {
    const size_t equals = start_.find('=');
    if (equals != std::string::npos) {
      const FlagRow* const row = RowOf(start_.substr(0, equals), typed_.command);
      if (row != nullptr && !row->value_name.empty()) {
        AddValues(*row, start_.substr(0, equals + 1), start_.substr(equals + 1));
      }
      return;
    }
    for (const FlagRow& row : Flags()) {
      const bool applies =
          typed_.command == CommandId::kNone ? row.only_for.empty() : FlagOf(row.name, typed_.command) == &row;
      if (applies) Add(Spelled(row), row.help);
    }
  }

  // The word that follows `before` in commands.
  void AddCommandWords(const std::vector<std::string>& before) {
    for (const CommandSpec& spec : Commands()) {
      const std::vector<std::string> own = absl::StrSplit(spec.words, ' ');
      if (spec.hidden || own.size() <= before.size() || !std::equal(before.begin(), before.end(), own.begin()))
        continue;
      Add(own[before.size()], own.size() == before.size() + 1 ? spec.summary : "");
    }
  }

  void AddPolicyNames() {
    for (const dax::PolicyName& name : dax::PolicyNames()) {
      // "size[:SIZE]" is completed up to what is to be filled in.
      const std::string spelling(name.spelling);
      Add(spelling.substr(0, spelling.find('[')), std::string(name.meaning));
    }
  }

  void AddOperand() {
    const Operand operand = SpecOf(typed_.command).operand;
    if (operand == Operand::kWords) {
      AddCommandWords({typed_.words.begin() + 1, typed_.words.end()});
      return;
    }
    if (typed_.operands > 0) return;
    switch (operand) {
      case Operand::kNone:
      case Operand::kWords:
        break;
      case Operand::kPolicyName:
        AddPolicyNames();
        break;
      case Operand::kPath:
        for (const std::string& path : ask_(Values::kPaths, typed_.line, start_)) Add(path);
        break;
      case Operand::kShell:
        for (const char* shell : {"bash", "zsh", "fish"}) Add(shell);
        break;
    }
  }

  const Typed& typed_;
  const std::string start_;
  const AskMachine& ask_;
  Candidates found_;
};

}  // namespace

Candidates CompleteLine(const std::vector<std::string>& words, const AskMachine& ask) {
  if (words.empty()) return {};
  const Typed typed = Read(words);
  return Completer(typed, words.back(), ask).Run();
}

}  // namespace daxvmm::control
