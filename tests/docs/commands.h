// The commands that a document shows, with what they print.
#ifndef DAXVMM_TESTS_DOCS_COMMANDS_H_
#define DAXVMM_TESTS_DOCS_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace daxvmm::docs_test {

// A line "$ COMMAND", with the lines "> ..." behind it that go on with it, as a shell shows them.
struct Command {
  int line = 0;  // of the document, from 1
  std::string text;
  std::vector<std::string> output;  // up to the next command or the block's end
};

// A fenced block with commands in it.
struct Block {
  int line = 0;      // of its fence
  std::string mark;  // of a line "<!-- test: MARK -->" right before the fence; empty: there is none
  std::vector<Command> commands;
};

// The blocks of a Markdown document that have commands or a mark.
std::vector<Block> FindBlocks(absl::string_view document);

// Whether `lines` have the form of `shown`: the same words, where a number stands for any number, white space for any
// white space, and "3 min ago" and "now" for each other. "..." in a line stands for anything, and as a line of its own
// for any lines.
bool HasForm(const std::vector<std::string>& lines, const std::vector<std::string>& shown);

// One program for bash that runs the commands one after the other, in one shell. What each has printed, to standard
// error too, ends with a line that SplitOutput finds.
std::string ScriptOf(const std::vector<Command>& commands);

// What one command of the script did.
struct Outcome {
  int status = -1;
  std::vector<std::string> output;
};

// Fewer than there were commands if the shell ended before the last.
std::vector<Outcome> SplitOutput(absl::string_view printed);

}  // namespace daxvmm::docs_test

#endif  // DAXVMM_TESTS_DOCS_COMMANDS_H_
