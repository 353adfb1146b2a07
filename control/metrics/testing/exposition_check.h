// Whether a text is what Prometheus takes: the text format 0.0.4, and the conventions that promtool checks. For tests.
#ifndef DAXVMM_CONTROL_METRICS_TESTING_EXPOSITION_CHECK_H_
#define DAXVMM_CONTROL_METRICS_TESTING_EXPOSITION_CHECK_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace daxvmm::control {

struct CheckedFamily {
  std::string type;
  std::string help;
  std::set<std::string> labels;  // that its samples have, without "le"
  size_t samples = 0;
};

struct CheckedExposition {
  std::vector<std::string> problems;  // a line each; empty: none
  std::map<std::string, CheckedFamily> families;
  // By series as written, "name{label=\"value\"}".
  std::map<std::string, double> samples;
};

CheckedExposition CheckExposition(absl::string_view text);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_TESTING_EXPOSITION_CHECK_H_
