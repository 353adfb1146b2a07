#include "control/call_gate.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;

class FakeAuditLog final : public AuditLog {
 public:
  void Write(const AuditEntry& entry) override {
    lines.push_back(entry.action + " " + entry.source + " " + entry.who + ": " + entry.result.ToString());
  }
  std::vector<std::string> lines;
};

TEST(CallGateTest, DenialsAreAudited) {
  FakeAuditLog audit;
  CallGate gate(Caller{.who = "uid 7", .role = Role::kReadOnly});
  gate.SetAuditLog(&audit);
  const grpc::CallbackServerContext context;
  EXPECT_TRUE(gate.Admit(context, "GetPolicy", Role::kReadOnly).ok());
  EXPECT_THAT(audit.lines, ElementsAre());
  EXPECT_EQ(gate.Admit(context, "SetPolicy", Role::kOperator).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(
      audit.lines,
      ElementsAre("SetPolicy request uid 7: PERMISSION_DENIED: SetPolicy is for operators; uid 7 is read-only"));
}

TEST(CallGateTest, NobodyHasToAudit) {
  CallGate gate(Caller{.who = "uid 7", .role = Role::kReadOnly});
  const grpc::CallbackServerContext context;
  EXPECT_FALSE(gate.Admit(context, "SetPolicy", Role::kOperator).ok());
}

}  // namespace
}  // namespace daxvmm::control
