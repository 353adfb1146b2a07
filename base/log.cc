#include "base/log.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/mutex.h"

namespace daxvmm {
namespace {

std::atomic<int> g_level{static_cast<int>(LogLevel::kWarning)};

Mutex g_sink_mu;
LogSink g_sink ABSL_GUARDED_BY(g_sink_mu) = nullptr;
void* g_sink_context ABSL_GUARDED_BY(g_sink_mu) = nullptr;

constexpr uint64_t kLinesPerMinute = 10;

int64_t MonotonicSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

void Emit(LogLevel level, const std::string& line) {
  MutexLock lock(&g_sink_mu);
  if (g_sink != nullptr) {
    g_sink(level, line.c_str(), g_sink_context);
    return;
  }
  // The carriage return keeps lines straight while the console holds the terminal in raw mode.
  const std::string text = std::string("daxvmm: ") + Name(level) + ": " + line + (isatty(2) != 0 ? "\r\n" : "\n");
  // A lost log line must not end the process.
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

void SetLogLevel(LogLevel level) { g_level.store(static_cast<int>(level), std::memory_order_relaxed); }

LogLevel GetLogLevel() { return static_cast<LogLevel>(g_level.load(std::memory_order_relaxed)); }

std::optional<LogLevel> ParseLogLevel(absl::string_view name) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (name == Name(level)) return level;
  }
  return std::nullopt;
}

void SetLogSink(LogSink sink, void* context) {
  MutexLock lock(&g_sink_mu);
  g_sink = sink;
  g_sink_context = context;
}

namespace log_internal {

LineBuilder::LineBuilder(LogLevel level, bool fatal, const char* file, int line) : level_(level), fatal_(fatal) {
  if (fatal_ || level_ == LogLevel::kDebug) {
    const char* slash = std::strrchr(file, '/');
    stream_ << (slash != nullptr ? slash + 1 : file) << ':' << line << ": ";
  }
}

LineBuilder::~LineBuilder() {
  Emit(level_, stream_.str());
  if (fatal_) std::abort();
}

bool Limiter::Admit(uint64_t* left_out) {
  const int64_t now = MonotonicSeconds();
  int64_t start = window_start_s_.load(std::memory_order_relaxed);
  // Two threads that open a minute together may let one line too many through: harmless.
  if (start < 0 || now - start >= 60) {
    if (window_start_s_.compare_exchange_strong(start, now, std::memory_order_relaxed)) {
      in_window_.store(0, std::memory_order_relaxed);
    }
  }
  if (in_window_.fetch_add(1, std::memory_order_relaxed) >= kLinesPerMinute) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *left_out = dropped_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace log_internal
}  // namespace daxvmm
