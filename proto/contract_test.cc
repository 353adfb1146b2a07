// The contract that is built, and what a state directory keeps, against what clients and machines have been promised.
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
constexpr const char* kBuilt[] = {"proto/daxvmm_proto-descriptor-set.proto.bin",
                                  "proto/state_proto-descriptor-set.proto.bin"};

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

google::protobuf::FileDescriptorSet Built() {
  google::protobuf::FileDescriptorSet all;
  for (const char* path : kBuilt) {
    const auto built = ParseDescriptorSet(Read(path));
    EXPECT_TRUE(built.ok()) << path << ": " << built.status();
    if (built.ok()) all.MergeFrom(*built);
  }
  return all;
}

TEST(ContractTest, NoClientIsBroken) {
  const auto baseline = ParseBaseline(Read(kBaseline));
  ASSERT_TRUE(baseline.ok()) << kBaseline << ":" << baseline.status();
  ASSERT_FALSE(baseline->file().empty()) << kBaseline;
  EXPECT_THAT(BreakingChanges(*baseline, Built()), testing::IsEmpty())
      << "clients, or state directories, that exist would break. If no release has had what changes, and only then: "
         "scripts/update-proto-baseline --allow-incompatible";
}

TEST(ContractTest, TheBaselineHasEverythingThatIsBuilt) {
  EXPECT_TRUE(FormatBaseline(Built()) == Read(kBaseline))
      << kBaseline << " is stale. Run scripts/update-proto-baseline, and commit what it writes";
}

}  // namespace
}  // namespace daxvmm::proto_compat
