// Sets of a policy's rules as words of bits, and tables of such sets: what a decision intersects.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_RULE_BITS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_RULE_BITS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace daxvmm::dax {

// A set of rules; rule i is bit i % 64 of word i / 64. Bits past the last rule are 0.
class RuleBits {
 public:
  static constexpr size_t kBitsPerWord = 64;
  static constexpr size_t WordsFor(size_t rules) { return (rules + kBitsPerWord - 1) / kBitsPerWord; }

  static RuleBits None(size_t rules) { return RuleBits(rules); }
  static RuleBits All(size_t rules);

  void Set(size_t rule) { words_[rule / kBitsPerWord] |= BitOf(rule); }
  void Reset(size_t rule) { words_[rule / kBitsPerWord] &= ~BitOf(rule); }
  bool Test(size_t rule) const { return (words_[rule / kBitsPerWord] & BitOf(rule)) != 0; }
  bool Any() const;
  // Whether both have some rule in common. Both are of the same policy, here and below.
  bool Intersects(const RuleBits& other) const;
  RuleBits& operator&=(const RuleBits& other);
  RuleBits& operator|=(const RuleBits& other);
  bool operator==(const RuleBits&) const = default;

  const std::vector<uint64_t>& words() const { return words_; }

 private:
  explicit RuleBits(size_t rules) : words_(WordsFor(rules)) {}
  static constexpr uint64_t BitOf(size_t rule) { return uint64_t{1} << (rule % kBitsPerWord); }

  std::vector<uint64_t> words_;
};

// For conditions "the value lies in an interval": which rules' conditions hold for each value. The values fall into
// elementary intervals, between which no condition changes, with one set for each: at most 2 * rules + 1 of them.
class IntervalBits {
 public:
  struct Interval {
    size_t rule = 0;  // each rule at most once; a rule that does not occur holds for every value
    uint64_t first = 0;
    uint64_t last = std::numeric_limits<uint64_t>::max();  // included; at least `first`
  };

  IntervalBits() = default;  // no rule asks
  IntervalBits(size_t rules, const std::vector<Interval>& intervals);

  // Whether any rule asks.
  bool used() const { return !starts_.empty(); }
  // The words of the rules that hold for `value`. Only if used(). No lock, no allocation.
  const uint64_t* RowOf(uint64_t value) const {
    const uint64_t* base = starts_.data();
    // Without a branch that depends on the value: mispredicted ones would cost more than all the rest of a decision.
    for (size_t left = starts_.size(); left > 1;) {
      const size_t half = left / 2;
      base += base[half] <= value ? half : 0;
      left -= half;
    }
    return rows_.data() + static_cast<size_t>(base - starts_.data()) * words_;
  }

 private:
  size_t words_ = 0;
  std::vector<uint64_t> starts_;  // ascending from 0, of each elementary interval
  std::vector<uint64_t> rows_;    // `words_` for each
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_RULE_BITS_H_
