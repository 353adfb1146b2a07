// How often each method was called, and how those calls ended.
#ifndef DAXVMM_CONTROL_CALL_COUNTS_H_
#define DAXVMM_CONTROL_CALL_COUNTS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace daxvmm::control {

// Every method of the services; health's; and "other" for what is none of them, reflection included. The table has room
// for these alone, so that no caller can make it grow.
inline constexpr const char* kCountedMethods[] = {"GetPolicy",
                                                  "SetPolicy",
                                                  "ListPolicyHistory",
                                                  "SetFileOverride",
                                                  "ClearFileOverride",
                                                  "ExplainFile",
                                                  "ListFiles",
                                                  "WatchConvergence",
                                                  "GetWindow",
                                                  "ListMappings",
                                                  "WatchWindow",
                                                  "GetMachine",
                                                  "StartMachine",
                                                  "PauseMachine",
                                                  "ResumeMachine",
                                                  "ShutdownMachine",
                                                  "WatchEvents",
                                                  "ReadConsole",
                                                  "AddShare",
                                                  "RemoveShare",
                                                  "Check",
                                                  "Watch",
                                                  "other"};

// The codes of gRPC, 0 (OK) to 16 (UNAUTHENTICATED), as absl::StatusCode has them.
inline constexpr int kStatusCodes = 17;

// Any thread may call any method; none blocks.
class CallCounts {
 public:
  struct Count {
    const char* method;  // one of kCountedMethods
    int code;
    uint64_t calls;  // not 0
  };

  // One call of `method` ("GetPolicy", or "/daxvmm.v1.DaxPolicyService/GetPolicy") has ended with `code`; one beyond
  // the table counts as UNKNOWN.
  void Add(absl::string_view method, int code);
  // Of what has been called at all, by method in the order above, then by code.
  std::vector<Count> Snapshot() const;

 private:
  static constexpr size_t kMethods = std::size(kCountedMethods);

  // Relaxed: each is a figure of its own.
  std::array<std::array<std::atomic<uint64_t>, kStatusCodes>, kMethods> counts_{};
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALL_COUNTS_H_
