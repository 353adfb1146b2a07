#include "devices/virtio_fs/arrival_clock.h"

#include "gtest/gtest.h"

namespace daxvmm::virtio_fs {
namespace {

ArrivalClock::TimePoint At(int64_t seconds) { return ArrivalClock::TimePoint(std::chrono::seconds(seconds)); }

TEST(ArrivalClockTest, TheFirstRequestWasInFlightWithNothing) {
  ArrivalClock clock;
  EXPECT_EQ(clock.Take(), ArrivalClock::TimePoint());
}

TEST(ArrivalClockTest, OneAfterTheOther) {
  ArrivalClock clock;
  clock.Take();
  clock.Answer(0, At(1));
  EXPECT_EQ(clock.Take(), At(1)) << "not available yet when the first reply was given";
  clock.Answer(0, At(2));
  EXPECT_EQ(clock.Take(), At(2));
}

TEST(ArrivalClockTest, WhatWaitedWasInFlightWithTheReplies) {
  ArrivalClock clock;
  clock.Take();
  clock.Answer(2, At(1));  // two wait
  EXPECT_EQ(clock.Take(), ArrivalClock::TimePoint());
  clock.Answer(1, At(2));
  EXPECT_EQ(clock.Take(), ArrivalClock::TimePoint());
  clock.Answer(0, At(3));
  EXPECT_EQ(clock.Take(), At(3));
}

TEST(ArrivalClockTest, ARequestThatCameBetweenTwoReplies) {
  ArrivalClock clock;
  clock.Take();
  clock.Answer(1, At(1));  // the second waits
  clock.Take();
  clock.Answer(1, At(2));  // the third has come since the first reply
  EXPECT_EQ(clock.Take(), At(1));
}

TEST(ArrivalClockTest, ADriverThatTakesItsIndexBackCannotMakeTimeRunBackwards) {
  ArrivalClock clock;
  clock.Take();
  clock.Answer(5, At(1));
  clock.Take();
  clock.Answer(0, At(2));
  EXPECT_EQ(clock.Take(), ArrivalClock::TimePoint()) << "it has been available before";
}

TEST(ArrivalClockTest, RemembersNoMoreThanWaits) {
  ArrivalClock clock;
  for (int i = 1; i <= 1000; ++i) {
    clock.Take();
    clock.Answer(3, At(i));
  }
  EXPECT_EQ(clock.Take(), At(997)) << "the fourth from the end was given before it came";
}

}  // namespace
}  // namespace daxvmm::virtio_fs
