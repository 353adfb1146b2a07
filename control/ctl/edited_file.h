// A text in a private temporary file, for an editor to change.
#ifndef DAXVMM_CONTROL_CTL_EDITED_FILE_H_
#define DAXVMM_CONTROL_CTL_EDITED_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace daxvmm::control {

// A file with mode 0600 in a directory of its own with mode 0700, so that what an editor puts beside it is private too.
// Both are removed in the end, unless kept. Errors name the path, or the editor.
class [[nodiscard]] EditedFile {
 public:
  // Below $TMPDIR, else /tmp.
  static absl::StatusOr<EditedFile> Create(const std::string& name);

  EditedFile(EditedFile&& other) noexcept;
  EditedFile& operator=(EditedFile&& other) = delete;
  ~EditedFile();

  const std::string& path() const { return path_; }
  absl::Status Write(absl::string_view text) const;
  // Runs $VISUAL, else $EDITOR, else vi, by the shell, as other programs do: an editor may have flags. Returns when it
  // has ended; not OK if that was not with status 0.
  absl::Status Edit() const;
  // What is in the file now. An editor may have put another file in its place.
  absl::StatusOr<std::string> Read() const;
  void Keep() { kept_ = true; }

 private:
  explicit EditedFile(std::string directory, const std::string& name)
      : directory_(std::move(directory)), path_(directory_ + "/" + name) {}

  std::string directory_;  // empty: moved from
  std::string path_;
  bool kept_ = false;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_EDITED_FILE_H_
