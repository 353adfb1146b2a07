#include "control/ctl/top/view.h"

#include "gtest/gtest.h"

namespace daxvmm::control::top {
namespace {

constexpr ListExtent kList{.rows = 10, .files = 35};

TEST(ViewTest, Characters) {
  EXPECT_EQ(KeyOf('q'), Key::kQuit);
  EXPECT_EQ(KeyOf(' '), Key::kPause);
  EXPECT_EQ(KeyOf('\t'), Key::kNextShare);
  EXPECT_EQ(KeyOf('?'), Key::kHelp);
  EXPECT_EQ(KeyOf('x'), std::nullopt);
  EXPECT_EQ(KeyOf('\0'), std::nullopt);
}

TEST(ViewTest, ScrollingStaysWithinTheList) {
  View view;
  const auto after = [&](Key key, const ListExtent& list = kList) {
    Apply(key, list, &view);
    return view.scroll;
  };
  EXPECT_EQ(after(Key::kUp), 0);
  EXPECT_EQ(after(Key::kDown), 1);
  EXPECT_EQ(after(Key::kPageDown), 10) << "a line of the page before stays";
  EXPECT_EQ(after(Key::kEnd), 25);
  EXPECT_EQ(after(Key::kDown), 25);
  EXPECT_EQ(after(Key::kPageUp), 16);
  EXPECT_EQ(after(Key::kSort), 0);
  EXPECT_EQ(after(Key::kEnd), 25);
  EXPECT_EQ(after(Key::kHome), 0);
  EXPECT_EQ(after(Key::kEnd, {}), 0) << "no list";
}

TEST(ViewTest, OrdersGoRoundBothWays) {
  View view;
  std::string names;
  for (int i = 0; i < 5; ++i) {
    names += OrderName(view.order) + " ";
    Apply(Key::kSort, kList, &view);
  }
  EXPECT_EQ(names, "chunks reads maps size chunks ");
  Apply(Key::kSortBack, kList, &view);
  EXPECT_EQ(OrderName(view.order), "chunks");
}

TEST(ViewTest, IntervalsHaveSteps) {
  View view{.interval = absl::Seconds(1)};
  const auto after = [&](Key key) {
    Apply(key, kList, &view);
    return absl::ToDoubleSeconds(view.interval);
  };
  EXPECT_EQ(after(Key::kSlower), 2);
  EXPECT_EQ(after(Key::kFaster), 1);
  for (int i = 0; i < 10; ++i) after(Key::kFaster);
  EXPECT_EQ(after(Key::kFaster), 0.1);
  for (int i = 0; i < 10; ++i) after(Key::kSlower);
  EXPECT_EQ(after(Key::kSlower), 60);
  view.interval = absl::Seconds(3);  // by the flag
  EXPECT_EQ(after(Key::kSlower), 5);
  view.interval = absl::Seconds(3);
  EXPECT_EQ(after(Key::kFaster), 2);
}

TEST(ViewTest, AnyKeyTakesTheHelpAwayAndDoesNothingElse) {
  View view;
  Apply(Key::kHelp, kList, &view);
  EXPECT_TRUE(view.help);
  Apply(Key::kPause, kList, &view);
  EXPECT_FALSE(view.help);
  EXPECT_FALSE(view.paused);
  Apply(Key::kPause, kList, &view);
  EXPECT_TRUE(view.paused);
  Apply(Key::kHelp, kList, &view);
  Apply(Key::kQuit, kList, &view);
  EXPECT_TRUE(view.quit) << "but for q";
}

}  // namespace
}  // namespace daxvmm::control::top
