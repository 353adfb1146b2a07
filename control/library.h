// Shared libraries that daxvmm loads when it is asked for what they do: found beside the program, loaded with signals
// blocked, never unloaded. What links this links none of what they carry.
#ifndef DAXVMM_CONTROL_LIBRARY_H_
#define DAXVMM_CONTROL_LIBRARY_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "control/library_abi.h"

namespace daxvmm::control {

// Which library, and how messages name it. All of it lives as long as the program.
struct Library {
  const char* what;                     // "control library"
  const char* file_name;                // "libdaxvmm_control.so"
  const char* environment;              // the variable that names another place; ignored in a set-user-ID program
  std::span<const char* const> places;  // where it is looked for, from the program's folder: "", "../lib/daxvmm/"
};

// The path of the library: `option` if it is not empty, else what the environment says, else the first that exists in
// its places. NOT_FOUND says where it was looked for. Loads nothing, so it can be called before the machine runs.
absl::StatusOr<std::string> LocateLibrary(const Library& library, const std::string& option = "");

// A function of the library at `path`, which is loaded if it is not yet. UNAVAILABLE if it cannot be loaded,
// FAILED_PRECONDITION if it has no such function.
absl::StatusOr<void*> LoadSymbol(const Library& library, const std::string& path, const char* name);

// Takes a library's log line as one of this process's: what an interface gives to the library. Any thread.
void TakeLibraryLine(uint32_t level, const char* line);

// What a library runs for this process. Made and destroyed on one thread.
class [[nodiscard]] LibraryHandle {
 public:
  explicit LibraryHandle(daxvmm_library_handle handle) : handle_(handle) {}
  LibraryHandle(LibraryHandle&& other) noexcept : handle_(other.handle_) { other.handle_ = {}; }
  LibraryHandle& operator=(LibraryHandle&& other) noexcept;
  // Stops it: no thread of the library uses what it was given afterwards. The library stays loaded.
  ~LibraryHandle() { Stop(); }

 private:
  void Stop();

  daxvmm_library_handle handle_{};
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_LIBRARY_H_
