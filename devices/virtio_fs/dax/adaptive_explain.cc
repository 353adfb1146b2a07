#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/dax/adaptive.h"

namespace daxvmm::dax {
namespace {

std::string Counted(uint64_t n, absl::string_view one, absl::string_view many) {
  return absl::StrCat(n, " ", n == 1 ? one : many);
}

std::string Times(uint64_t n) { return n == 1 ? "once" : absl::StrCat(n, " times"); }

std::string Because(const Verdict& v, const AdaptiveTuning& tuning) {
  const std::string window = absl::StrCat("window at ", v.window_percent, " %");
  switch (v.reason) {
    case AdaptiveReason::kNoWindow:
      return "there is no window";
    case AdaptiveReason::kTooSmall:
      return absl::StrCat("with ", v.count, " bytes (below ", tuning.smallest.raw(),
                          ") it costs more mapped than cached");
    case AdaptiveReason::kNewFile:
      return absl::StrCat("new file, ", window);
    case AdaptiveReason::kTooLarge:
      return absl::StrCat("needs ", Counted(v.count, "chunk", "chunks"),
                          ", more than the window holds before the guest reclaims");
    case AdaptiveReason::kWindowBusy:
      return absl::StrCat(window, ", no room for ", Counted(v.count, "more chunk", "more chunks"),
                          " before the guest reclaims");
    case AdaptiveReason::kKind:
      return absl::StrCat("files of its size were read once lately (", v.count, " seen)");
    case AdaptiveReason::kTrial:
      return absl::StrCat("one new file of its size in ", tuning.trial_every, " goes without, to see how it is read");
    case AdaptiveReason::kStreamed:
      return absl::StrCat(window, ", file only read through in order, chunks mapped ", Times(v.count), " in ",
                          v.seconds, " s");
    case AdaptiveReason::kTurnover:
      return absl::StrCat(window, " and turning over, file among the least used: mapped ", Times(v.count), " in ",
                          v.seconds, " s");
    case AdaptiveReason::kServedOften:
      return absl::StrCat(Counted(v.count, "FUSE request", "FUSE requests"), " in ", v.seconds,
                          " s cost more than mapping would, ", window);
    case AdaptiveReason::kGrown:
      return absl::StrCat("grew to ", v.count, " bytes, ", window);
  }
  return "";
}

}  // namespace

std::string ExplainVerdict(const Verdict& verdict, const AdaptiveTuning& tuning) {
  return absl::StrCat(verdict.dax ? "granted: " : "denied: ", Because(verdict, tuning));
}

std::string AdaptivePolicy::Explain(FileIdentity file) const {
  const AdaptiveFile* record = files_.Find(file);
  return record == nullptr ? "nothing is remembered of this file" : ExplainVerdict(record->verdict, tuning_);
}

}  // namespace daxvmm::dax
