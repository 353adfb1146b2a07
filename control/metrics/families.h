// A sample as Prometheus' metric families: names, labels, units. docs/metrics.md lists them.
#ifndef DAXVMM_CONTROL_METRICS_FAMILIES_H_
#define DAXVMM_CONTROL_METRICS_FAMILIES_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "control/metrics/sampler.h"

namespace daxvmm::control {

// All families, always, whether they have a series at the moment or not.
std::vector<prometheus::MetricFamily> MakeFamilies(const MetricsSample& sample);

// The text format, version 0.0.4.
std::string Exposition(const std::vector<prometheus::MetricFamily>& families);

// The machine as something that Prometheus collects from. Used by one thread.
class MachineCollectable final : public prometheus::Collectable {
 public:
  // `sampler` outlives this.
  explicit MachineCollectable(MetricsSampler* sampler) : sampler_(sampler) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return MakeFamilies(sampler_->Take()); }

 private:
  MetricsSampler* const sampler_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_FAMILIES_H_
