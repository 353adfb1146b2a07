#include "vmm/override_expiry.h"

#include <chrono>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "gtest/gtest.h"

namespace daxvmm::vmm {
namespace {

dax::Override For(const std::string& path, absl::Duration ttl) {
  return {.share_tag = "data", .file = path, .dax = true, .expires_at = absl::Now() + ttl};
}

// Waits until so many overrides are left; false after 20 s.
bool Await(const dax::PolicyStore& store, size_t left) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (store.Get()->compiled->overrides().size() != left) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(OverrideExpiryTest, TakesOutEachInItsTimeAndLeavesTheOthers) {
  dax::PolicyStore store(dax::DefaultPolicy());
  OverrideExpiry expiry(&store);
  const dax::PolicyStore::SetOptions by_request{.source = {.kind = dax::SourceKind::kRequest}};
  ASSERT_TRUE(store.SetOverride(For("later", absl::Hours(1)), by_request).ok());
  expiry.Changed();
  ASSERT_TRUE(store.SetOverride(For("soon", absl::Milliseconds(30)), by_request).ok());
  expiry.Changed();  // the thread waits for the other one by now
  ASSERT_TRUE(store.SetOverride(For("sooner", absl::Milliseconds(10)), by_request).ok());
  expiry.Changed();
  EXPECT_TRUE(Await(store, 1)) << "two of three should have run out";
  EXPECT_EQ(std::get<std::string>(store.Get()->compiled->overrides()[0].file), "later");
  EXPECT_EQ(store.Get()->source.kind, dax::SourceKind::kExpiry);
}

TEST(OverrideExpiryTest, EndsWhileItWaits) {
  dax::PolicyStore store(dax::DefaultPolicy());
  OverrideExpiry expiry(&store);
  expiry.Changed();
  ASSERT_TRUE(store.SetOverride(For("later", absl::Hours(1)), {.source = {.kind = dax::SourceKind::kRequest}}).ok());
  expiry.Changed();
}

}  // namespace
}  // namespace daxvmm::vmm
