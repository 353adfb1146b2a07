// The contract that is built against the one that clients have been promised.
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/proto_compat/baseline.h"
#include "tools/proto_compat/compat.h"

namespace daxvmm::proto_compat {
namespace {

constexpr char kBaseline[] = "proto/daxvmm/v1/baseline.textproto";
constexpr char kBuilt[] = "proto/daxvmm_proto-descriptor-set.proto.bin";

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(ContractTest, NoClientIsBroken) {
  const auto baseline = ParseBaseline(Read(kBaseline));
  ASSERT_TRUE(baseline.ok()) << kBaseline << ":" << baseline.status();
  ASSERT_FALSE(baseline->file().empty()) << kBaseline;
  const auto built = ParseDescriptorSet(Read(kBuilt));
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_THAT(BreakingChanges(*baseline, *built), testing::IsEmpty())
      << "clients that exist would break. If no release has had what changes, and only then: "
         "scripts/update-proto-baseline --allow-incompatible";
}

TEST(ContractTest, TheBaselineHasEverythingThatIsBuilt) {
  const auto built = ParseDescriptorSet(Read(kBuilt));
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_TRUE(FormatBaseline(*built) == Read(kBaseline))
      << kBaseline << " is stale. Run scripts/update-proto-baseline, and commit what it writes";
}

}  // namespace
}  // namespace daxvmm::proto_compat
