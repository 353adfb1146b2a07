// What the machine's parts tell of themselves becomes events.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vmm/machine.h"

namespace daxvmm::vmm {
namespace {

using control::EventKind;

std::string DescribeSource(const dax::PolicySource& source) {
  switch (source.kind) {
    case dax::SourceKind::kStart:
      return "at start";
    case dax::SourceKind::kFile:
      return absl::StrCat("from ", source.detail);
    case dax::SourceKind::kRequest:
      return absl::StrCat("asked for by ", source.detail.empty() ? "the embedder" : source.detail);
    case dax::SourceKind::kState:
      return "kept from the run before";
    case dax::SourceKind::kExpiry:
      return absl::StrCat(source.detail, " ran out");
  }
  return "";
}

}  // namespace

void Machine::ObservePolicy() {
  policy_.SetObserver([this](const dax::PolicyHistoryEntry& change) {
    events_.Append(EventKind::kPolicyChanged, absl::StrCat(change.summary, "; ", DescribeSource(change.source)), "",
                   change.generation);
  });
}

virtio_fs::VirtioFsOptions::Observer Machine::ObserveWindow(const std::string& tag) {
  return [this, tag](bool withdrawn) {
    events_.Append(EventKind::kWindowRepaired,
                   withdrawn ? "a mapped file was truncated: pages past its end were withdrawn from the guest"
                             : "a truncated file has grown again: its pages were given back to the guest",
                   tag);
  };
}

std::function<void()> Machine::ObserveNeedsReset(const std::string& tag) {
  return [this, tag] {
    events_.Append(EventKind::kNeedsReset, "the driver broke the rules; the device serves nothing until it is reset",
                   tag);
  };
}

}  // namespace daxvmm::vmm
