#include "control/metrics/sampler.h"

#include "control/metrics/testing/example_metrics.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

class SamplerTest : public testing::Test {
 protected:
  SamplerTest() { controller_.FillWithExamples(); }  // two shares

  FakeController controller_;
  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  std::chrono::milliseconds counting_takes_{0};
  // Time passes while files are counted.
  MetricsSampler sampler_{&controller_, [this] {
                            if (controller_.times_counted.exchange(0) > 0) {
                              ++recounts_;
                              now_ += counting_takes_;
                            }
                            return now_;
                          }};
  int recounts_ = 0;
};

TEST_F(SamplerTest, FilesAreNotCountedAtEachScrape) {
  controller_.SetCounts({.converged = 1});
  MetricsSample sample = sampler_.Take();
  ASSERT_EQ(sample.follows.size(), 2u);
  EXPECT_EQ(sample.follows[0].second.converged, 1u);
  EXPECT_EQ(recounts_, 1);
  controller_.SetCounts({.converged = 2});
  now_ += std::chrono::milliseconds(9'999);
  sample = sampler_.Take();
  EXPECT_EQ(sample.follows[0].second.converged, 1u);
  EXPECT_NEAR(sample.follows_age.count(), 9.999, 1e-6);
  EXPECT_EQ(recounts_, 1);
  now_ += std::chrono::milliseconds(1);
  sample = sampler_.Take();
  EXPECT_EQ(sample.follows[0].second.converged, 2u);
  EXPECT_EQ(sample.follows_age.count(), 0);
  EXPECT_EQ(recounts_, 2);
}

TEST_F(SamplerTest, WhatTakesLongIsDoneMoreRarely) {
  counting_takes_ = std::chrono::seconds(2);
  sampler_.Take();
  now_ += std::chrono::seconds(39);
  sampler_.Take();
  EXPECT_EQ(recounts_, 1);
  now_ += std::chrono::seconds(1);
  sampler_.Take();
  EXPECT_EQ(recounts_, 2);
}

TEST_F(SamplerTest, TheRestIsOfTheMoment) {
  EXPECT_EQ(sampler_.Take().machine.policy_generation, 0u);
  controller_.metrics.policy_generation = 9;
  controller_.windows[0].maps = 77;
  const MetricsSample sample = sampler_.Take();
  EXPECT_EQ(sample.machine.policy_generation, 9u);
  EXPECT_EQ(sample.windows[0].maps, 77u);
}

}  // namespace
}  // namespace daxvmm::control
