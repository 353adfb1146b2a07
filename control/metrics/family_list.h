// Builds metric families one after the other.
#ifndef DAXVMM_CONTROL_METRICS_FAMILY_LIST_H_
#define DAXVMM_CONTROL_METRICS_FAMILY_LIST_H_

#include <prometheus/metric_family.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace daxvmm::control {

class FamilyList {
 public:
  using Labels = std::initializer_list<std::pair<const char*, absl::string_view>>;

  // Begins a family; what is added next belongs to it. `name` without the prefix that all of them have.
  void Counter(const char* name, const char* help) { Begin(name, help, prometheus::MetricType::Counter); }
  void Gauge(const char* name, const char* help) { Begin(name, help, prometheus::MetricType::Gauge); }
  void Histogram(const char* name, const char* help) { Begin(name, help, prometheus::MetricType::Histogram); }
  // The same of what has a name that all programs use.
  void StandardCounter(const char* name, const char* help) { BeginWhole(name, help, prometheus::MetricType::Counter); }
  void StandardGauge(const char* name, const char* help) { BeginWhole(name, help, prometheus::MetricType::Gauge); }

  // One series. Label values are bytes: what is not UTF-8 becomes \xNN.
  void Add(Labels labels, double value);
  void Add(Labels labels, uint64_t value) { Add(labels, static_cast<double>(value)); }
  // `counts`: one for each of `bounds`, and those above the last; not cumulative.
  void AddHistogram(Labels labels, const std::vector<double>& bounds, const std::vector<uint64_t>& counts, double sum);

  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  void Begin(const char* name, const char* help, prometheus::MetricType type);
  void BeginWhole(std::string name, const char* help, prometheus::MetricType type);
  prometheus::ClientMetric& AddMetric(Labels labels);

  std::vector<prometheus::MetricFamily> families_;
};

// Of all families but the standard ones.
inline constexpr char kMetricPrefix[] = "daxvmm_";

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_FAMILY_LIST_H_
