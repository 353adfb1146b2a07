#include "control/ctl/invocation.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "control/ctl/commands.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/help.h"
#include "control/ctl/man_page.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

absl::StatusOr<Invocation> Parse(std::vector<const char*> arguments, const Environment& environment = {.socket = "s"}) {
  return ParseInvocation(arguments, environment);
}

std::string Error(std::vector<const char*> arguments, const Environment& environment = {.socket = "s"}) {
  return std::string(Parse(std::move(arguments), environment).status().message());
}

TEST(InvocationTest, AFlagMeansWhatItsCommandSays) {
  auto line = Parse({"files", "--dax", "--no-open", "--state", "cached,held-open", "--state=unknown", "--sort", "size",
                     "--subtree", "lib", "--limit", "7"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->command, CommandId::kFiles);
  EXPECT_EQ(line->filter.decision_dax, true);
  EXPECT_EQ(line->filter.open, false);
  EXPECT_EQ(line->filter.mapped, std::nullopt);
  EXPECT_EQ(line->filter.states,
            (std::vector<v1::Convergence>{v1::CONVERGENCE_ATTRIBUTES_CACHED, v1::CONVERGENCE_NOTICED_HELD_OPEN,
                                          v1::CONVERGENCE_UNKNOWN}));
  EXPECT_EQ(line->order, v1::ListFilesRequest::ORDER_SIZE);
  EXPECT_EQ(line->filter.subtree, "lib");
  EXPECT_EQ(line->limit, 7u);

  line = Parse({"policy", "override", "set", "--dax", "no", "file"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->dax, false);
  EXPECT_EQ(line->path, "file");
  // In front of the command too.
  line = Parse({"--dax", "yes", "--share", "policy", "policy", "override", "set", "file"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->dax, true);
  EXPECT_EQ(line->share, "policy");

  line = Parse({"machine", "shutdown", "--timeout", "0", "--wait"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->shutdown_timeout, absl::ZeroDuration());
  EXPECT_EQ(line->timeout, std::nullopt);
  line = Parse({"machine", "show", "--timeout", "3"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->timeout, absl::Seconds(3));

  line = Parse({"window", "--watch"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(line->watch_window);
  EXPECT_EQ(line->interval, std::nullopt);
  EXPECT_EQ(Parse({"window", "--watch=0.5"})->interval, absl::Milliseconds(500));

  line = Parse({"events", "--kind", "panic,power-off", "--since", "15m", "--follow"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->events.kinds, (std::vector<v1::Event::Kind>{v1::Event::KIND_PANIC, v1::Event::KIND_POWER_OFF}));
  EXPECT_EQ(line->events.since, absl::Minutes(15));
}

TEST(InvocationTest, SaysWhatWasMeant) {
  EXPECT_EQ(Error({"polcy", "get"}), "polcy: unknown command; did you mean policy?");
  EXPECT_EQ(Error({"xyzzy"}), "xyzzy: unknown command; see daxvmmctl --help");
  EXPECT_EQ(Error({"policy", "gte"}),
            "policy: \"gte\" is not get, set, edit, explain, override or history; did you mean get?");
  EXPECT_EQ(Error({"machine"}), "machine: show, start, pause, resume, shutdown or console must follow");
  EXPECT_EQ(Error({"files", "--opne"}), "--opne: there is no such flag; did you mean --open?");
  EXPECT_EQ(Error({"files", "--sort", "sizes"}),
            "--sort: \"sizes\" is not path, chunks, maps, reads or size; did you mean size?");
  EXPECT_EQ(Error({"files", "--wait"}), "--wait: does not apply to \"files\"");
  EXPECT_EQ(Error({"files", "--open", "--no-open"}), "--no-open: with and without exclude each other");
  EXPECT_EQ(Error({"completion"}), "completion: bash, zsh or fish must follow");
  EXPECT_EQ(Error({"completion", "tcsh"}), "completion: \"tcsh\" is not bash, zsh or fish");
  EXPECT_EQ(Error({"machine", "shutdown", "--force", "--timeout", "3"}), "--force: is at once, and excludes --timeout");
  EXPECT_EQ(Error({"files", "--limit", "0"}), "--limit: 0 would show nothing");
}

TEST(InvocationTest, HelpIsForCommandsAndForWordsThatBeginThem) {
  auto line = Parse({"policy", "--help"}, {});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(line->help);
  EXPECT_EQ(line->help_prefix, "policy");
  line = Parse({"help", "policy", "set"}, {});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->command, CommandId::kPolicySet);
  EXPECT_TRUE(line->help);
  EXPECT_EQ(Parse({"help"}, {})->command, CommandId::kNone);
  EXPECT_TRUE(Parse({"help", "--man"}, {})->man);
  EXPECT_EQ(Error({"help", "polcy"}, {}), "polcy: unknown command; did you mean policy?");
  EXPECT_TRUE(absl::StrContains(HelpText(CommandId::kNone, "machine"), "  machine pause "));
  EXPECT_FALSE(absl::StrContains(HelpText(CommandId::kNone, "machine"), "  files "));
  EXPECT_FALSE(absl::StrContains(HelpText(CommandId::kNone), "__complete"));
}

TEST(InvocationTest, TlsNeedsItsThreeFilesAndAnAddress) {
  const Environment all = {.socket = "host:1", .tls_ca = "a", .tls_cert = "b", .tls_key = "c"};
  auto line = Parse({"health"}, all);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(line->uses_tls());
  EXPECT_EQ(line->tls_key, "c");
  line = Parse({"health", "--tls-key", "k"}, all);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->tls_key, "k");
  // What the environment has of them does not matter to a socket.
  line = Parse({"health", "--control", "/run/vm:1.sock"}, all);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_FALSE(line->uses_tls());
  EXPECT_TRUE(absl::StartsWith(Error({"health", "--control", "h:1", "--tls-ca", "a"}), "--tls-cert: "));
  EXPECT_TRUE(absl::StartsWith(Error({"health", "--tls-ca", "a", "--tls-cert", "b"}), "--tls-key: "));
  EXPECT_TRUE(absl::StartsWith(
      Error({"health", "--control", "/x", "--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"}), "--control: "));
}

TEST(InvocationTest, TheTablesAgreeWithThemselves) {
  std::set<CommandId> ids;
  for (const CommandSpec& command : Commands()) {
    EXPECT_TRUE(ids.insert(command.id).second) << command.words;
    EXPECT_FALSE(absl::EndsWith(command.summary, ".")) << command.words;
    EXPECT_TRUE(command.details.empty() || absl::EndsWith(command.details, "\n")) << command.words;
    EXPECT_EQ(absl::StrContains(HelpText(CommandId::kNone), command.words), !command.hidden) << command.words;
  }
  for (const FlagRow& row : Flags()) {
    for (const CommandId id : row.only_for) {
      EXPECT_EQ(FlagOf(row.name, id), &row) << row.name << ": two for " << SpecOf(id).words;
      EXPECT_TRUE(absl::StrContains(HelpText(id), absl::StrCat("--", row.name))) << row.name;
    }
    EXPECT_EQ(row.values == Values::kWords, !row.words.empty()) << row.name;
  }
}

TEST(InvocationTest, TheManualPageHasEverything) {
  const std::string page = RenderManPage(CtlManPage());
  for (const CommandSpec& command : Commands()) {
    EXPECT_EQ(absl::StrContains(page, absl::StrCat(".SS \"", command.words)), !command.hidden) << command.words;
  }
  for (const char* part : {".SH \"EXIT STATUS\"", "DAXVMM_CONTROL", "\\-\\-watch[=SECONDS]", "NO_COLOR"}) {
    EXPECT_TRUE(absl::StrContains(page, part)) << part;
  }
}

}  // namespace
}  // namespace daxvmm::control
