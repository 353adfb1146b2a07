#include "control/ctl/output.h"

#include <string>

#include "control/ctl/machine_output.h"
#include "control/ctl/policy_output.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'000'000'000);

google::protobuf::Timestamp At(absl::Duration before) {
  google::protobuf::Timestamp time;
  time.set_seconds(absl::ToUnixSeconds(kNow - before));
  return time;
}

TEST(OutputTest, TimesAreReadAtAGlance) {
  EXPECT_EQ(AgoText(kNow, kNow), "now");
  EXPECT_EQ(AgoText(kNow - absl::Seconds(59), kNow), "59 s ago");
  EXPECT_EQ(AgoText(kNow - absl::Seconds(60), kNow), "1 min ago");
  EXPECT_EQ(AgoText(kNow - absl::Minutes(179), kNow), "2 h ago");
  EXPECT_EQ(AgoText(kNow - absl::Hours(47), kNow), "47 h ago");
  EXPECT_EQ(AgoText(kNow - absl::Hours(48), kNow), "2 d ago");
  EXPECT_EQ(AgoText(kNow + absl::Seconds(27), kNow), "in 27 s");
}

TEST(OutputTest, SizesHaveThreeDigits) {
  EXPECT_EQ(RoughSizeText(0), "0 B");
  EXPECT_EQ(RoughSizeText(1023), "1023 B");
  EXPECT_EQ(RoughSizeText(1536), "1.5 KiB");
  EXPECT_EQ(RoughSizeText(uint64_t{3} << 30), "3 GiB");
  EXPECT_EQ(RoughSizeText(UINT64_MAX), "16 EiB");
}

TEST(OutputTest, DurationsKeepTheirNanoseconds) {
  const google::protobuf::Duration half = ToProto(absl::Milliseconds(1500));
  EXPECT_EQ(half.seconds(), 1);
  EXPECT_EQ(half.nanos(), 500'000'000);
  EXPECT_EQ(DurationOf(half), "1.5 s");
}

TEST(OutputTest, EveryConvergenceAndEventHasWords) {
  for (int value = v1::Convergence_MIN + 1; value <= v1::Convergence_MAX; ++value) {
    const std::string text = StateText(static_cast<v1::Convergence>(value), {});
    EXPECT_EQ(text.find('-'), std::string::npos) << text << ": a new one has no words yet";
  }
  EXPECT_EQ(EventKindText(v1::Event::KIND_POLICY_FILE_REFUSED), "policy-file-refused");
  EXPECT_EQ(EventKindText(static_cast<v1::Event::Kind>(77)), "77") << "of a newer server";
}

TEST(OutputTest, AMachineIsShown) {
  v1::Machine machine;
  machine.set_state(v1::Machine::STATE_SHUTTING_DOWN);
  machine.set_version("1.2");
  machine.set_pid(7);
  machine.set_cpus(2);
  machine.set_memory_bytes(uint64_t{512} << 20);
  *machine.mutable_create_time() = At(absl::Minutes(90));
  *machine.mutable_force_time() = At(-absl::Seconds(20));
  v1::Share* const share = machine.add_shares();
  share->set_tag("data");
  share->set_path("/srv/data\x1b");
  share->set_window_bytes(uint64_t{1} << 30);
  share->set_mount_mode(v1::MOUNT_MODE_PER_FILE);
  EXPECT_EQ(MachineText(machine, {.now = kNow}),
            "State       shutting-down, by force in 20 s\n"
            "Version     daxvmm 1.2\n"
            "Process     7\n"
            "CPUs        2\n"
            "Memory      512 MiB\n"
            "Created     2001-09-09 00:16:40 UTC (1 h ago)\n"
            "Started     not yet\n"
            "Shares      1\n"
            "SHARE  ACCESS      WINDOW  MOUNT     DIRECTORY\n"
            "data   read-write   1 GiB  per-file  /srv/data\\x1b\n");
  machine.clear_force_time();
  machine.set_state(v1::Machine::STATE_ENDED);
  machine.set_end_reason("panic");
  EXPECT_EQ(MachineText(machine, {.color = true, .now = kNow}).substr(0, 38),
            "State       \x1b[31mended\x1b[0m: panic\nVers");
}

TEST(OutputTest, EventsAreATableAndNews) {
  v1::Event event;
  event.set_sequence(9);
  *event.mutable_time() = At(absl::Minutes(3));
  event.set_kind(v1::Event::KIND_NEEDS_RESET);
  event.set_share("data");
  event.set_message("queue 1\n");
  TextTable table = EventsTable({});
  AddEvent(event, {.now = kNow}, &table);
  event = v1::Event();
  event.set_sequence(10);
  *event.mutable_time() = At(absl::ZeroDuration());
  event.set_kind(v1::Event::KIND_POLICY_CHANGED);
  event.set_generation(4);
  AddEvent(event, {.now = kNow}, &table);
  EXPECT_EQ(table.Render({}),
            " #  TIME                     AGO        KIND            SHARE  MESSAGE\n"
            " 9  2001-09-09 01:43:40 UTC  3 min ago  needs-reset     data   queue 1\\x0a\n"
            "10  2001-09-09 01:46:40 UTC  now        policy-changed  -      generation 4\n");
  EXPECT_EQ(EventLine(event, {.now = kNow}), "01:46:40 policy-changed: generation 4\n");
}

TEST(OutputTest, AnEffectIsCountedAndNamed) {
  v1::PolicyEffect effect;
  effect.set_live(9);
  EXPECT_EQ(EffectText(effect, {}), "Of 9 live files 0 would become DAX, and 0 would cease to be.\n");
  effect.set_gaining(2);
  effect.set_losing(1);
  v1::PolicyEffect::File* const file = effect.add_files();
  file->set_share("data");
  file->set_path("a");
  file->set_decision_dax(true);
  file->set_decision_rule("big");
  EXPECT_EQ(EffectText(effect, {}),
            "Of 9 live files 2 would become DAX, and 1 would cease to be.\n"
            "The first 1 of them:\n"
            "SHARE  BECOMES  RULE  PATH\n"
            "data   dax      big   a\n");
}

TEST(OutputTest, StreamsAreOneLineEach) {
  v1::WatchEventsResponse response;
  response.mutable_event()->set_message("a\nb");
  EXPECT_EQ(TextLine(response), "event { message: \"a\\nb\" }");
  EXPECT_EQ(Json(response, /*all=*/false, /*compact=*/true), "{\"event\":{\"message\":\"a\\nb\"}}");
}

}  // namespace
}  // namespace daxvmm::control
