#include "control/machine_state.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

TEST(MachineStateTest, WhatMayBeDoneInWhichState) {
  using S = MachineState;
  using C = MachineCommand;
  struct Case {
    C command;
    S state;
    const char* error;  // "": it may
  };
  const Case cases[] = {
      {C::kStart, S::kCreated, ""},
      {C::kStart, S::kRunning, "running already"},
      {C::kStart, S::kPaused, "paused; resume it"},
      {C::kStart, S::kShuttingDown, "shutting down"},
      {C::kStart, S::kEnded, "has ended"},
      {C::kPause, S::kCreated, "not started"},
      {C::kPause, S::kRunning, ""},
      {C::kPause, S::kPaused, ""},
      {C::kPause, S::kShuttingDown, "shutting down"},
      {C::kPause, S::kEnded, "has ended"},
      {C::kResume, S::kCreated, "start it"},
      {C::kResume, S::kRunning, ""},
      {C::kResume, S::kPaused, ""},
      {C::kResume, S::kShuttingDown, "shutting down"},
      {C::kResume, S::kEnded, "has ended"},
      {C::kShutdown, S::kCreated, ""},
      {C::kShutdown, S::kRunning, ""},
      {C::kShutdown, S::kPaused, ""},
      {C::kShutdown, S::kShuttingDown, ""},
      {C::kShutdown, S::kEnded, "has ended"},
  };
  for (const Case& one : cases) {
    const absl::Status status = CheckMay(one.command, one.state);
    const std::string where = std::to_string(static_cast<int>(one.command)) + " in " +
                              std::to_string(static_cast<int>(one.state)) + ": " + status.ToString();
    if (*one.error == '\0') {
      EXPECT_TRUE(status.ok()) << where;
      continue;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << where;
    EXPECT_NE(std::string(status.message()).find(one.error), std::string::npos) << where;
  }
}

}  // namespace
}  // namespace daxvmm::control
