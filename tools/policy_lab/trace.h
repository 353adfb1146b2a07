// What a guest's programs do, as the lab replays it. docs/adaptive.md documents the text form.
#ifndef DAXVMM_TOOLS_POLICY_LAB_TRACE_H_
#define DAXVMM_TOOLS_POLICY_LAB_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/policy_lab/window_model.h"

namespace daxvmm::lab {

enum class OpKind : uint8_t { kOpen, kClose, kStat, kRead, kWrite, kTouch, kUnlink, kThink };

struct Op {
  OpKind kind = OpKind::kThink;
  FileId file = 0;
  uint64_t offset = 0;
  uint64_t length = 0;  // of kThink: nanoseconds

  bool operator==(const Op&) const = default;
};

struct TraceFile {
  uint64_t size = 0;  // when the trace begins
  bool huge = false;  // backed by huge pages, whatever the run's backing is

  bool operator==(const TraceFile&) const = default;
};

struct Trace {
  std::string name;
  std::vector<TraceFile> files;  // by FileId
  std::vector<Op> ops;

  FileId AddFile(uint64_t size, bool huge = false) {
    files.push_back({size, huge});
    return static_cast<FileId>(files.size() - 1);
  }
  void Open(FileId f) { ops.push_back({OpKind::kOpen, f}); }
  void Close(FileId f) { ops.push_back({OpKind::kClose, f}); }
  void Stat(FileId f) { ops.push_back({OpKind::kStat, f}); }
  void Read(FileId f, uint64_t at, uint64_t n) { ops.push_back({OpKind::kRead, f, at, n}); }
  void Write(FileId f, uint64_t at, uint64_t n) { ops.push_back({OpKind::kWrite, f, at, n}); }
  void Touch(FileId f, uint64_t at, uint64_t n) { ops.push_back({OpKind::kTouch, f, at, n}); }
  void Unlink(FileId f) { ops.push_back({OpKind::kUnlink, f}); }
  void Think(Nanos ns) { ops.push_back({OpKind::kThink, 0, 0, static_cast<uint64_t>(ns)}); }
};

// The trace that a text describes, or INVALID_ARGUMENT that names the line. Bounds: 1,000,000 files, 1 TiB a file,
// 50,000,000 operations.
absl::StatusOr<Trace> ParseTrace(absl::string_view name, absl::string_view text);
std::string FormatTrace(const Trace& trace);

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_TRACE_H_
