// Leveled logging to standard error, and CHECK.
//
//   LOG(kWarning) << "share '" << tag << "': ...";     one line; no trailing newline
//   LOG_LIMITED(kWarning) << ...;                      for whatever a guest can provoke: at most 10 lines per call site
//                                                      and minute, then one line that says how many were left out
//   CHECK(x) << "why";                                 our own bug only: never for guest or operator input
//
// An embedder may take the lines over with SetLogSink. All of it may be called from any thread.
#ifndef DAXVMM_BASE_LOG_H_
#define DAXVMM_BASE_LOG_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/string_view.h"

namespace daxvmm {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

// Lines below `level` are dropped before they are formatted. The default is kWarning.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();
inline bool LogEnabled(LogLevel level) { return level >= GetLogLevel(); }

// "debug", "info", "warning" or "error"; nullopt for anything else.
std::optional<LogLevel> ParseLogLevel(absl::string_view name);

// Receives each finished line without a newline. May be called from any thread, from one at a time.
using LogSink = void (*)(LogLevel level, const char* line, void* context);
// Replaces standard error; nullptr brings it back. Not to be called while other threads log.
void SetLogSink(LogSink sink, void* context);

namespace log_internal {

class LineBuilder {
 public:
  LineBuilder(LogLevel level, bool fatal, const char* file, int line);
  ~LineBuilder();  // emits the line; aborts if fatal
  std::ostream& stream() { return stream_; }

 private:
  const LogLevel level_;
  const bool fatal_;
  std::ostringstream stream_;
};

// One per call site.
class Limiter {
 public:
  // Whether this line may be written; adds to `left_out` what was dropped before it.
  bool Admit(uint64_t* left_out);

 private:
  std::atomic<int64_t> window_start_s_{-1};
  std::atomic<uint64_t> in_window_{0};
  std::atomic<uint64_t> dropped_{0};
};

struct Voidify {
  void operator&(std::ostream&) {}
};

}  // namespace log_internal

#define LOG(level)                                 \
  !::daxvmm::LogEnabled(::daxvmm::LogLevel::level) \
      ? (void)0                                    \
      : ::daxvmm::log_internal::Voidify() &        \
            ::daxvmm::log_internal::LineBuilder(::daxvmm::LogLevel::level, false, __FILE__, __LINE__).stream()

#define LOG_LIMITED(level)                                                                                        \
  for (uint64_t left_out_ = 0, once_ = 1; once_ != 0 && ::daxvmm::LogEnabled(::daxvmm::LogLevel::level) && ([&] { \
                                            static ::daxvmm::log_internal::Limiter limiter;                       \
                                            return limiter.Admit(&left_out_);                                     \
                                          }());                                                                   \
       once_ = 0)                                                                                                 \
  LOG(level) << (left_out_ != 0 ? "(" + std::to_string(left_out_) + " like it left out) " : std::string())

#define CHECK(condition)                                                                                               \
  (condition) ? (void)0                                                                                                \
              : ::daxvmm::log_internal::Voidify() &                                                                    \
                    ::daxvmm::log_internal::LineBuilder(::daxvmm::LogLevel::kError, true, __FILE__, __LINE__).stream() \
                        << "CHECK failed: " #condition " "

}  // namespace daxvmm

#endif  // DAXVMM_BASE_LOG_H_
