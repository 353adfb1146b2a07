#include "control/ctl/local_commands.h"

#include <google/protobuf/struct.pb.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/man_page.h"
#include "base/version.h"
#include "control/ctl/completion.h"
#include "control/ctl/man_page.h"
#include "control/ctl/text_table.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

// Somebody waits for the next letter.
constexpr absl::Duration kPatience = absl::Seconds(2);
// More is not read by anybody.
constexpr uint32_t kMaxPaths = 2000;

bool IsPlain(const std::string& text) { return EscapeForTerminal(text) == text; }

// The directory that the path being typed is in; empty for the share's root.
std::string DirectoryOf(const std::string& start) {
  const size_t slash = start.rfind('/');
  return slash == std::string::npos ? "" : start.substr(0, slash);
}

std::vector<std::string> Ask(Values what, const Invocation& line, const std::string& start) {
  Invocation target = line;
  if (!FindMachine(ProcessEnvironment(), &target).ok() || target.socket.empty()) return {};
  const auto client = ConnectFor(target, kPatience);
  if (!client.ok()) return {};
  std::vector<std::string> found;
  if (what == Values::kShares) {
    const auto windows = (*client)->GetWindow();
    if (!windows.ok()) return {};
    for (const v1::Window& window : windows->windows()) found.push_back(window.share());
    return found;
  }
  v1::ListFilesRequest request;
  request.set_share(EscapeNonUtf8(target.share));
  request.set_subtree(DirectoryOf(start));
  request.set_page_size(kMaxPaths);
  request.mutable_read_mask()->add_paths("path");
  const auto files = (*client)->ListFiles(request);
  if (!files.ok()) return {};
  for (const v1::LiveFile& file : files->files()) found.push_back(file.path());
  return found;
}

}  // namespace

ExitCode Version(Runner* runner) {
  google::protobuf::Struct versions;
  (*versions.mutable_fields())["daxvmmctl"].set_string_value(kVersion);
  std::string text = absl::StrCat("daxvmmctl ", kVersion, "\n");
  if (!runner->line().socket.empty()) {
    if (const auto failed = runner->Connect()) {
      runner->Print(text);
      return *failed;
    }
    const auto machine = runner->client()->GetMachine();
    if (!machine.ok() && machine.status().code() != absl::StatusCode::kUnimplemented) {
      runner->Print(text);
      return runner->FailCall(machine.status());
    }
    (*versions.mutable_fields())["daxvmm"].set_string_value(machine.ok() ? machine->version() : "");
    absl::StrAppend(&text, "daxvmm ",
                    machine.ok() ? absl::StrCat(EscapeForTerminal(machine->version()), ", process ", machine->pid())
                                 : "older than this: it does not tell its version",
                    "\n");
  }
  return runner->for_programs() ? runner->PrintMessage(versions) : runner->Print(text);
}

ExitCode Help(Runner* runner) { return runner->Print(RenderManPage(CtlManPage())); }

ExitCode Completion(Runner* runner) { return runner->Print(CompletionScript(runner->line().shell)); }

ExitCode Complete(Runner* runner) {
  const Candidates found = CompleteLine(runner->line().words, &Ask);
  std::string out;
  for (const Candidate& one : found.list) {
    // A guest may put line breaks and worse into names: those are to be typed.
    if (!IsPlain(one.text)) continue;
    absl::StrAppend(&out, one.text, one.meaning.empty() ? "" : "\t", one.meaning, "\n");
  }
  if (found.host_files) absl::StrAppend(&out, ":files\n");
  return runner->Print(out);
}

}  // namespace daxvmm::control
