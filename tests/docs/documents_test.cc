// Runs the commands of documents against a server over a machine without a guest, and compares what they print with
// what the documents show.
//
// A block of commands ("$ ...") that is to be run stands below a line "<!-- test: run -->"; "<!-- test: needs a guest
// -->" says that it cannot be. The status of each command has to be 0, unless the next one is `echo $?`. All blocks of
// a document meet the same machine one after the other, in one folder.
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "control/control_socket.h"
#include "control/server_loader.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "gtest/gtest.h"
#include "tests/docs/commands.h"

namespace daxvmm::docs_test {
namespace {

// What the documents call the socket.
constexpr char kShownSocket[] = "/run/vm.sock";
constexpr char kRun[] = "run";
constexpr char kNeedsGuest[] = "needs a guest";

struct Document {
  const char* path;
  bool all_marked;  // a block of commands without a mark is a mistake
};
constexpr Document kDocuments[] = {{"README.md", false}, {"docs/control_plane.md", true}};

// The machine that the documents tell of: a share with two files that the guest holds.
void FillAsDocumented(control::FakeController* machine) {
  machine->files = {
      {.share_tag = "data",
       .node_id = 2,
       .path = "disk.img",
       .size = MiB(5),
       .decision_dax = true,
       .decision_rule = "size",
       .told_dax = true,
       .told_generation = 1,
       .mapped_chunks = 3,
       .setup_mappings = 3},
      {.share_tag = "data",
       .node_id = 3,
       .path = "notes.txt",
       .size = KiB(4),
       .decision_rule = "default",
       .told_dax = false,
       .told_generation = 1,
       .reads = 1},
  };
  machine->windows = {{.share_tag = "data",
                       .capacity = GiB(1),
                       .guest_base = GuestPhysAddr(0x100000000),
                       .mount_mode = control::MountMode::kPerFile,
                       .mapped_chunks = 3,
                       .mapped_chunks_max = 3,
                       .maps = 3}};
  for (uint64_t chunk = 0; chunk < 3; ++chunk) {
    machine->mappings.push_back({.share_tag = "data",
                                 .at = WindowOffset(chunk * MiB(2).raw()),
                                 .length = MiB(2),
                                 .guest_address = GuestPhysAddr(0x100000000 + chunk * MiB(2).raw()),
                                 .node_id = 2,
                                 .path = "disk.img",
                                 .from = FileOffset(chunk * MiB(2).raw()),
                                 .policy_generation = 1,
                                 .mapped_at = absl::Now()});
  }
  machine->preview = {.gaining = 0,
                      .losing = 1,
                      .live = 2,
                      .files = {{.share_tag = "data", .path = "disk.img", .node_id = 2, .rule = "default"}}};
  machine->machine = {
      .state = control::MachineState::kRunning,
      .cpus = 2,
      .memory = MiB(512),
      .shares = {{.tag = "data", .path = "/srv/data", .window = GiB(1), .mount_mode = control::MountMode::kPerFile}},
      .created = absl::Now(),
      .started = absl::Now()};
  machine->SetCounts({.converged = 1, .changes_on_next_use = 1});
}

// A machine, and a folder to run commands in, with the programs in its search path.
class Session {
 public:
  Session() {
    folder_ = testing::TempDir() + "/docXXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    std::filesystem::create_directories(folder_ + "/bin");
    std::filesystem::create_directories(folder_ + "/work");
    const std::string here = std::filesystem::current_path().string();
    for (const auto& [name, program] : {std::pair("daxvmmctl", "/control/daxvmmctl"),
                                        {"daxvmm", "/vmm/daxvmm"},
                                        {"grpcurl", "/tests/docs/grpcurl"}}) {
      std::filesystem::create_symlink(here + program, folder_ + "/bin/" + name);
    }
    FillAsDocumented(&machine_);
    auto socket = control::ControlSocket::Bind(folder_ + "/s");
    EXPECT_TRUE(socket.ok()) << socket.status();
    socket_.emplace(*std::move(socket));
    const auto library = control::LocateControlLibrary(here + "/control/libdaxvmm_control.so");
    EXPECT_TRUE(library.ok()) << library.status();
    auto server = control::LoadedControlServer::Start(&machine_, socket_->listen_fd(), *library);
    EXPECT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }

  void Run(const Block& block) const {
    const std::string script = absl::StrCat(
        "cd ", folder_, "/work\n", absl::StrReplaceAll(ScriptOf(block.commands), {{kShownSocket, socket_->path()}}));
    const control::Finished finished =
        control::RunToEnd({"/usr/bin/timeout", "50", "/bin/bash", "-c", script}, "",
                          {"PATH=" + folder_ + "/bin:/usr/bin:/bin", "HOME=" + folder_,
                           "DAXVMM_CONTROL=" + socket_->path(), "TERM=dumb", "LC_ALL=C.UTF-8"});
    const auto outcomes = SplitOutput(absl::StrReplaceAll(
        // A true machine has no detail there.
        finished.out, {{socket_->path(), kShownSocket}, {"from the start (--policy)", "from the start"}}));
    EXPECT_EQ(outcomes.size(), block.commands.size()) << "the shell did not get to the end:\n" << finished.out;
    for (size_t i = 0; i < std::min(outcomes.size(), block.commands.size()); ++i) {
      const Command& command = block.commands[i];
      EXPECT_TRUE(HasForm(outcomes[i].output, command.output))
          << "line " << command.line << ": $ " << command.text << "\n---- printed:\n"
          << absl::StrJoin(outcomes[i].output, "\n") << "\n---- shown:\n"
          << absl::StrJoin(command.output, "\n");
      const bool asked = i + 1 < block.commands.size() && block.commands[i + 1].text == "echo $?";
      if (asked) {
        EXPECT_EQ(std::to_string(outcomes[i].status), absl::StrJoin(block.commands[i + 1].output, "\n"))
            << "line " << command.line << ": $ " << command.text;
      } else {
        EXPECT_EQ(outcomes[i].status, 0) << "line " << command.line << ": $ " << command.text;
      }
    }
  }

 private:
  std::string folder_;
  control::FakeController machine_;
  std::optional<control::ControlSocket> socket_;
  std::optional<control::LoadedControlServer> server_;
};

// One machine for each document, from its first block on, since there is one server in a process at a time.
std::pair<std::string, std::unique_ptr<Session>>& Current() {
  static auto* const current = new std::pair<std::string, std::unique_ptr<Session>>();
  return *current;
}

Session& SessionOf(const std::string& document) {
  if (Current().first != document) {
    Current().second.reset();
    Current() = {document, std::make_unique<Session>()};
  }
  return *Current().second;
}

class BlockTest : public testing::Test {
 public:
  BlockTest(const Document& document, Block block) : document_(document), block_(std::move(block)) {}

  void TestBody() override {
    if (block_.mark == kNeedsGuest) GTEST_SKIP() << "these commands need a guest";
    ASSERT_EQ(block_.mark, kRun) << document_.path << ":" << block_.line
                                 << ": the line before it has to be <!-- test: run --> or <!-- test: needs a guest -->";
    ASSERT_FALSE(block_.commands.empty()) << document_.path << ":" << block_.line << ": no line begins with \"$ \"";
    SessionOf(document_.path).Run(block_);
  }

 private:
  const Document& document_;
  const Block block_;
};

void RegisterDocument(const Document& document) {
  std::ifstream file(document.path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  int registered = 0;
  for (const Block& block : FindBlocks(text)) {
    if (block.mark.empty() && !document.all_marked) continue;
    ++registered;
    const std::string name = absl::StrCat("Line", block.line);
    const std::string suite = absl::StrReplaceAll(document.path, {{"/", "_"}, {".", "_"}});
    testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, document.path, block.line,
                          [&document, block]() -> testing::Test* { return new BlockTest(document, block); });
  }
  if (registered == 0) {
    fprintf(stderr, "%s: there is nothing to test in it\n", document.path);
    exit(1);
  }
}

}  // namespace
}  // namespace daxvmm::docs_test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (const auto& document : daxvmm::docs_test::kDocuments) daxvmm::docs_test::RegisterDocument(document);
  const int result = RUN_ALL_TESTS();
  daxvmm::docs_test::Current().second.reset();
  return result;
}
