// The check of expositions must see what it is for.
#include "control/metrics/testing/exposition_check.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

constexpr char kFine[] =
    "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n,}\",y=\"\"} 1\na_total{x=\"b\",y=\"\"} 2\n"
    "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
    "# HELP g G.\n# TYPE g gauge\ng -1e-06\n";

std::string Gauge(const std::string& samples) { return "# HELP g G.\n# TYPE g gauge\n" + samples; }
std::string Histogram(const std::string& samples) { return "# HELP h H.\n# TYPE h histogram\n" + samples; }

TEST(ExpositionCheckTest, TakesWhatIsRight) {
  const CheckedExposition checked = CheckExposition(kFine);
  EXPECT_TRUE(checked.problems.empty()) << checked.problems.front();
  EXPECT_EQ(checked.families.size(), 3u);
  EXPECT_EQ(checked.families.at("a_total").labels, (std::set<std::string>{"x", "y"}));
  EXPECT_EQ(checked.families.at("h").samples, 4u);
  EXPECT_EQ(checked.samples.at("a_total{x=\"b\",y=\"\"}"), 2);
}

TEST(ExpositionCheckTest, SeesWhatIsWrong) {
  for (const std::string& wrong : {
           std::string("g 1\n"),                                 // no family
           std::string("# TYPE g gauge\ng 1\n"),                 // no HELP
           std::string("# HELP g G.\ng 1\n"),                    // no TYPE
           Gauge("g 1"),                                         // no end of the line
           Gauge("g 1\n# TYPE g gauge\n"),                       // two TYPEs
           Gauge("g 1\ng 1\n"),                                  // a series twice
           Gauge("g one\n"),                                     // no number
           Gauge("g NaN\n"),                                     //
           Gauge("g{x=\"\xff\"} 1\n"),                           // no UTF-8
           Gauge("g{x=\"\\q\"} 1\n"),                            // an escape that is none
           Gauge("g{x=\"a} 1\n"),                                // no end
           Gauge("g{x=\"a\"y=\"b\"} 1\n"),                       // no comma
           Gauge("g{9=\"a\"} 1\n"),                              // no name
           Gauge("g{x=\"a\",x=\"b\"} 1\n"),                      // a label twice
           Gauge("g{__x=\"a\"} 1\n"),                            // a reserved one
           Gauge("g_sum 1\n"),                                   //
           std::string("# HELP a A.\n# TYPE a counter\na 1\n"),  // no _total
           std::string("# HELP a_total A.\n# TYPE a_total counter\na_total -1\n"),
           std::string("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n"),
           std::string("# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n"),
           Gauge("g 1\n") + Histogram("") + Gauge(""),               // a family in two places
           Histogram("h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n"),  // no +Inf
           Histogram("h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n"),
           Histogram("h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n"),
           Histogram("h_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n"),
           Histogram("h_bucket{le=\"+Inf\"} 2\nh_count 2\n"),
       }) {
    EXPECT_FALSE(CheckExposition(wrong).problems.empty()) << wrong;
  }
}

}  // namespace
}  // namespace daxvmm::control
