#include "control/metrics/family_list.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "control/text.h"

namespace daxvmm::control {

void FamilyList::Begin(const char* name, const char* help, prometheus::MetricType type) {
  BeginWhole(absl::StrCat(kMetricPrefix, name), help, type);
}

void FamilyList::BeginWhole(std::string name, const char* help, prometheus::MetricType type) {
  families_.push_back({.name = std::move(name), .help = help, .type = type, .metric = {}});
}

prometheus::ClientMetric& FamilyList::AddMetric(Labels labels) {
  prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
  // Two values that differ in a byte must stay two.
  for (const auto& [name, value] : labels) metric.label.push_back({name, ToPathText(value)});
  return metric;
}

void FamilyList::Add(Labels labels, double value) {
  prometheus::ClientMetric& metric = AddMetric(labels);
  if (families_.back().type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

void FamilyList::AddHistogram(Labels labels, const std::vector<double>& bounds, const std::vector<uint64_t>& counts,
                              double sum) {
  prometheus::ClientMetric::Histogram& histogram = AddMetric(labels).histogram;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({cumulative, bound});
    if (i >= bounds.size()) break;
  }
  histogram.sample_count = cumulative;
  histogram.sample_sum = sum;
}

}  // namespace daxvmm::control
