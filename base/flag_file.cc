#include "base/flag_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/suggest.h"
#include "base/unique_fd.h"

namespace daxvmm {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

absl::Status ApplyLine(absl::string_view line, std::span<const FlagSpec> flags) {
  const size_t equals = line.find('=');
  const absl::string_view name = absl::StripAsciiWhitespace(line.substr(0, equals));
  const auto flag = std::find_if(flags.begin(), flags.end(),
                                 [name](const FlagSpec& one) { return absl::string_view(one.name) == name; });
  if (flag == flags.end()) {
    std::vector<std::string> names;
    for (const FlagSpec& one : flags) names.push_back(one.name);
    return absl::InvalidArgumentError(absl::StrCat(name, ": there is no such flag", DidYouMean(name, names)));
  }
  const bool has_value = equals != absl::string_view::npos;
  if (has_value == flag->metavar.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, has_value ? ": takes no value" : absl::StrCat(": needs a value: ", flag->metavar)));
  }
  const absl::Status status =
      flag->set(has_value ? absl::StripAsciiWhitespace(line.substr(equals + 1)) : absl::string_view());
  return status.ok() ? status : absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  // Not a FIFO, which would hang us.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  struct stat about{};
  if (fstat(fd.get(), &about) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(about.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  std::string text(kMaxBytes + 1, '\0');
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + length, text.size() - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, path);
    if (n == 0) break;
    length += static_cast<size_t>(n);
  }
  if (length > kMaxBytes) return absl::InvalidArgumentError(absl::StrCat(path, ": larger than 1 MiB"));
  text.resize(length);
  return text;
}

}  // namespace

absl::Status ApplyFlagText(absl::string_view text, std::span<const FlagSpec> flags) {
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    if (const absl::Status status = ApplyLine(line, flags); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(number, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyFlagFile(const std::string& path, std::span<const FlagSpec> flags) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  const absl::Status status = ApplyFlagText(text, flags);
  return status.ok() ? status : absl::Status(status.code(), absl::StrCat(path, ":", status.message()));
}

}  // namespace daxvmm
