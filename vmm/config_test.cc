#include "vmm/config.h"

#include <string>

#include "gtest/gtest.h"
#include "vmm/layout.h"

namespace daxvmm::vmm {
namespace {

MachineConfig Good() {
  MachineConfig config;
  config.kernel = "vmlinuz";
  config.shares.push_back({.options = {.path = "/srv"}, .tag = "data", .dax_window = MiB(64)});
  return config;
}

std::string Error(const MachineConfig& config) { return std::string(Validate(config).message()); }

TEST(ConfigTest, AcceptsTheLimits) {
  MachineConfig config = Good();
  config.cpus = kMaxCpus;
  config.memory = kMinMemory;
  config.shares[0].tag = std::string(36, 't');
  for (unsigned i = 1; i < layout::kMaxVirtioDevices; ++i) {
    config.shares.push_back({.options = {.path = "/srv"}, .tag = std::to_string(i)});
  }
  EXPECT_TRUE(Validate(config).ok()) << Error(config);
}

TEST(ConfigTest, NamesTheFieldAtFault) {
  const auto broken = [](auto change) {
    MachineConfig config = Good();
    change(config);
    return Error(config);
  };
  EXPECT_EQ(broken([](auto& c) { c.kernel.clear(); }), "kernel: is required");
  EXPECT_EQ(broken([](auto& c) { c.cpus = 0; }), "cpus: 0 is not between 1 and 64");
  EXPECT_EQ(broken([](auto& c) { c.cpus = 65; }), "cpus: 65 is not between 1 and 64");
  EXPECT_EQ(broken([](auto& c) { c.memory = MiB(31); }), "mem: 31 MiB is not between 32 MiB and 1 TiB");
  EXPECT_EQ(broken([](auto& c) { c.memory += ByteCount(1); }), "mem: 536870913 B is not a multiple of 4 KiB");
  EXPECT_EQ(broken([](auto& c) { c.cmdline.push_back('\0'); }), "cmdline: must not contain a NUL byte");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].options.path.clear(); }), "share: path= is missing or empty");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].tag.clear(); }), "share: tag= is missing or empty");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].tag = std::string(37, 't'); }).substr(0, 13), "share: tag 't");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].tag = "a\nb"; }), "share: tag= must not contain a newline or a NUL byte");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].dax_window = MiB(3); }),
            "share: tag 'data': dax-window=3 MiB is not a multiple of 2 MiB");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].dax_quota = MiB(3); }),
            "share: tag 'data': dax-quota=3 MiB is not a multiple of 2 MiB up to the size of dax-window");
  EXPECT_EQ(broken([](auto& c) { c.shares[0].dax_quota = MiB(66); }),
            "share: tag 'data': dax-quota=66 MiB is not a multiple of 2 MiB up to the size of dax-window");
  EXPECT_EQ(broken([](auto& c) { c.shares.push_back(c.shares[0]); }), "share: tag 'data' is given twice");
}

TEST(ConfigTest, RefusesOptionsOfAShareThatContradictEachOther) {
  const auto with = [](auto change) {
    MachineConfig config = Good();
    change(config.shares[0]);
    return Error(config);
  };
  EXPECT_EQ(with([](auto& s) { s.options.writeback = true; }),
            "share: tag 'data': writeback does not go with dax-window: the guest keeps mtime itself then, and stores "
            "through the window would leave it as it was");
  const auto cached = [&with](fs::CacheMode mode) {
    return with([mode](auto& s) {
      s.dax_window = ByteCount(0);
      s.options.writeback = true;
      s.options.cache = mode;
    });
  };
  EXPECT_EQ(cached(fs::CacheMode::kAuto), "");
  EXPECT_EQ(cached(fs::CacheMode::kAlways), "");
  for (const fs::CacheMode mode : {fs::CacheMode::kNever, fs::CacheMode::kMetadata}) {
    EXPECT_EQ(cached(mode),
              "share: tag 'data': writeback does not go with cache=never or cache=metadata, which have the guest keep "
              "no data");
  }
  EXPECT_EQ(with([](auto& s) {
              s.options.xattr = false;
              ASSERT_TRUE(s.options.xattr_map.AddRule("deny:user.").ok());
            }),
            "share: tag 'data': xattr-map does not go with no-xattr, which leaves no attribute to map");
  EXPECT_EQ(with([](auto& s) { s.options.xattr = false; }), "");
}

TEST(ConfigTest, LimitsTheNumberOfSharesByInterruptLines) {
  MachineConfig config = Good();
  for (unsigned i = 0; i < layout::kMaxVirtioDevices; ++i) {
    config.shares.push_back({.options = {.path = "/srv"}, .tag = std::to_string(i)});
  }
  EXPECT_EQ(Error(config),
            "share: given 17 times, but only 16 are possible: each share needs an interrupt line of its own");
}

}  // namespace
}  // namespace daxvmm::vmm
