#include "devices/virtio_fs/dax/rule_bits.h"

#include <algorithm>
#include <map>

namespace daxvmm::dax {

RuleBits RuleBits::All(size_t rules) {
  RuleBits all(rules);
  std::ranges::fill(all.words_, ~uint64_t{0});
  if (rules % kBitsPerWord != 0) all.words_.back() = BitOf(rules) - 1;
  return all;
}

bool RuleBits::Any() const {
  return std::ranges::any_of(words_, [](uint64_t word) { return word != 0; });
}

bool RuleBits::Intersects(const RuleBits& other) const {
  for (size_t i = 0; i < words_.size(); ++i) {
    if ((words_[i] & other.words_[i]) != 0) return true;
  }
  return false;
}

RuleBits& RuleBits::operator&=(const RuleBits& other) {
  for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  return *this;
}

RuleBits& RuleBits::operator|=(const RuleBits& other) {
  for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  return *this;
}

IntervalBits::IntervalBits(size_t rules, const std::vector<Interval>& intervals) {
  if (intervals.empty()) return;
  words_ = RuleBits::WordsFor(rules);
  struct Change {
    size_t rule;
    bool holds;
  };
  std::map<uint64_t, std::vector<Change>> changes;
  RuleBits now = RuleBits::All(rules);
  for (const Interval& interval : intervals) {
    if (interval.first > 0) {
      now.Reset(interval.rule);
      changes[interval.first].push_back({interval.rule, true});
    }
    if (interval.last < std::numeric_limits<uint64_t>::max()) {
      changes[interval.last + 1].push_back({interval.rule, false});
    }
  }
  starts_.reserve(changes.size() + 1);
  rows_.reserve((changes.size() + 1) * words_);
  starts_.push_back(0);
  rows_.insert(rows_.end(), now.words().begin(), now.words().end());
  for (const auto& [start, of_rules] : changes) {
    for (const Change& change : of_rules) change.holds ? now.Set(change.rule) : now.Reset(change.rule);
    starts_.push_back(start);
    rows_.insert(rows_.end(), now.words().begin(), now.words().end());
  }
}

}  // namespace daxvmm::dax
