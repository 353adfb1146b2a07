#include "devices/virtio_fs/dax/path_pattern_set.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <utility>

#include "base/log.h"

namespace daxvmm::dax {
namespace {

RE2::Options BytesOptions(ByteCount max_memory) {
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);  // it would write to standard error for what a guest's path provokes
  options.set_never_capture(true);
  options.set_max_mem(static_cast<int64_t>(max_memory.raw()));
  return options;
}

re2::StringPiece Piece(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct PathPatternSet::Set {
  explicit Set(ByteCount max_memory) : re2(BytesOptions(max_memory), RE2::ANCHOR_BOTH) {}
  RE2::Set re2;
};

PathPatternSet::PathPatternSet(std::vector<std::string> regexes, ByteCount max_memory)
    : regexes_(std::move(regexes)), set_(std::make_unique<Set>(max_memory)) {
  for (size_t i = 0; i < regexes_.size(); ++i) {
    std::string error;
    const int index = set_->re2.Add(regexes_[i], &error);
    CHECK(index == static_cast<int>(i)) << "path pattern " << regexes_[i] << ": " << error;
  }
  if (!set_->re2.Compile()) set_ = nullptr;
}

PathPatternSet::~PathPatternSet() = default;
PathPatternSet::PathPatternSet(PathPatternSet&&) noexcept = default;
PathPatternSet& PathPatternSet::operator=(PathPatternSet&&) noexcept = default;

std::vector<int> PathPatternSet::Match(absl::string_view path) const {
  std::vector<int> matches;
  if (set_ != nullptr) {
    RE2::Set::ErrorInfo error{RE2::Set::kNoError};
    if (set_->re2.Match(Piece(path), &matches, &error) || error.kind == RE2::Set::kNoError) return matches;
  }
  return MatchOneByOne(path);
}

std::vector<int> PathPatternSet::MatchOneByOne(absl::string_view path) const {
  // Compiled for the occasion: kept ready, thousands of them would hold far more memory than the set may.
  std::vector<int> matches;
  const RE2::Options options = BytesOptions(MiB(8));
  for (size_t i = 0; i < regexes_.size(); ++i) {
    const RE2 one(regexes_[i], options);
    if (RE2::FullMatch(Piece(path), one)) matches.push_back(static_cast<int>(i));
  }
  return matches;
}

}  // namespace daxvmm::dax
