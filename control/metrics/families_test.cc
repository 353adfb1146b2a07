#include "control/metrics/families.h"

#include "absl/strings/str_join.h"
#include "base/version.h"
#include "control/metrics/testing/example_metrics.h"
#include "control/metrics/testing/exposition_check.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

class FamiliesTest : public testing::Test {
 protected:
  CheckedExposition Collect() {
    MetricsSampler sampler(&controller_);
    text_ = Exposition(MachineCollectable(&sampler).Collect());
    CheckedExposition checked = CheckExposition(text_);
    EXPECT_TRUE(checked.problems.empty()) << absl::StrJoin(checked.problems, "\n");
    return checked;
  }
  static double ValueOf(const CheckedExposition& checked, const std::string& series) {
    const auto found = checked.samples.find(series);
    if (found == checked.samples.end()) ADD_FAILURE() << "there is no " << series;
    return found != checked.samples.end() ? found->second : -1;
  }

  FakeController controller_;
  std::string text_;
};

TEST_F(FamiliesTest, AreValidAndSayWhatWasCounted) {
  FillWithMetrics(&controller_);
  controller_.windows[0].maps_per_second[1] = 2.5;
  controller_.SetCounts({.converged = 3, .attributes_cached = 1, .noticed_held_open = 2});
  const CheckedExposition checked = Collect();
  for (const auto& [name, family] : checked.families) {
    EXPECT_TRUE(name.compare(0, 7, "daxvmm_") == 0 || name.compare(0, 8, "process_") == 0) << name;
    EXPECT_GT(family.samples, 0u) << name;
  }
  const std::string lookup = "{share=\"data\",operation=\"LOOKUP\"";
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_duration_seconds_bucket" + lookup + ",le=\"1e-06\"}"), 1);
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_duration_seconds_bucket" + lookup + ",le=\"2e-06\"}"), 3);
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_duration_seconds_bucket" + lookup + ",le=\"5e-06\"}"), 3);
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_duration_seconds_bucket" + lookup + ",le=\"+Inf\"}"), 6);
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_duration_seconds_count" + lookup + "}"), 6);
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_duration_seconds_sum" + lookup + "}"), 0.0015);
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_request_errors_total" + lookup + ",error=\"ENOENT\"}"), 4);
  EXPECT_EQ(ValueOf(checked, "daxvmm_virtqueue_request_age_seconds{share=\"src\",queue=\"1\"}"), 0.25);
  EXPECT_EQ(ValueOf(checked, "daxvmm_virtqueue_request_age_seconds{share=\"src\",queue=\"0\"}"), 0);
  EXPECT_EQ(ValueOf(checked, "daxvmm_virtqueue_waiting_requests{share=\"src\",queue=\"1\"}"), 5);
  EXPECT_EQ(ValueOf(checked, "daxvmm_policy_decisions_total{share=\"data\",rule=\"size\",decision=\"dax\"}"), 5);
  EXPECT_EQ(ValueOf(checked, "daxvmm_policy_live_files{share=\"data\",state=\"noticed_held_open\"}"), 2);
  EXPECT_EQ(ValueOf(checked, "daxvmm_policy_in_force_timestamp_seconds"), 1'700'000'000);
  EXPECT_EQ(ValueOf(checked, "daxvmm_window_capacity_bytes{share=\"data\"}"), 64 << 20);
  EXPECT_EQ(ValueOf(checked, "daxvmm_window_maps_total{share=\"data\"}"), 9);
  EXPECT_EQ(checked.samples.count("daxvmm_window_maps_total{share=\"src\"}"), 0u) << "a share without a window";
  EXPECT_EQ(ValueOf(checked, "daxvmm_window_maps_per_second{share=\"data\",over=\"10s\"}"), 2.5);
  EXPECT_EQ(ValueOf(checked, "daxvmm_machine_state{state=\"running\"}"), 1);
  EXPECT_EQ(ValueOf(checked, "daxvmm_machine_state{state=\"created\"}"), 0);
  EXPECT_EQ(ValueOf(checked, "daxvmm_vcpu_exits_total{vcpu=\"0\",reason=\"mmio\"}"), 34);
  EXPECT_EQ(ValueOf(checked, "daxvmm_events_total{kind=\"started\"}"), 1);
  EXPECT_EQ(ValueOf(checked, "daxvmm_control_calls_total{method=\"SetPolicy\",code=\"ABORTED\"}"), 1);
  EXPECT_EQ(ValueOf(checked, std::string("daxvmm_build_info{version=\"") + kVersion + "\"}"), 1);
}

TEST_F(FamiliesTest, TagsAreAnyBytes) {
  FillWithMetrics(&controller_);
  const CheckedExposition checked = Collect();
  EXPECT_EQ(ValueOf(checked, "daxvmm_fuse_read_bytes_total{share=\"a\\\"b\\\\c\\nd\\\\xff\\\\x5cxff\"}"), 7);
}

TEST_F(FamiliesTest, AMachineOfWhichNothingIsKnownHasAllFamiliesToo) {
  FillWithMetrics(&controller_);
  const CheckedExposition full = Collect();
  FakeController empty;
  MetricsSampler sampler(&empty);
  const CheckedExposition checked = CheckExposition(Exposition(MakeFamilies(sampler.Take())));
  EXPECT_TRUE(checked.problems.empty()) << absl::StrJoin(checked.problems, "\n");
  EXPECT_EQ(checked.families.size(), full.families.size());
}

TEST_F(FamiliesTest, TheProcessIsThisOne) {
  const CheckedExposition checked = Collect();
  EXPECT_GT(ValueOf(checked, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(ValueOf(checked, "process_virtual_memory_bytes"), ValueOf(checked, "process_resident_memory_bytes"));
  EXPECT_GE(ValueOf(checked, "process_threads"), 1);
  EXPECT_GE(ValueOf(checked, "process_open_fds"), 3);
  EXPECT_GT(ValueOf(checked, "process_cpu_seconds_total"), 0);
  const double age = static_cast<double>(time(nullptr)) - ValueOf(checked, "process_start_time_seconds");
  EXPECT_GE(age, -2);
  EXPECT_LT(age, 600);
}

}  // namespace
}  // namespace daxvmm::control
