// Which of many live files a list shows: conditions, order and place, without ever holding more than a page of them.
// Plain structs: used by the machine, and by whoever stands in for one.
#ifndef DAXVMM_CONTROL_FILE_QUERY_H_
#define DAXVMM_CONTROL_FILE_QUERY_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "control/controller.h"

namespace daxvmm::control {

// What conditions and orders look at, of one live file.
struct FileGlance {
  absl::string_view share_tag;
  uint64_t node_id = 0;
  bool decision_dax = false;
  bool overridden = false;
  std::optional<bool> told_dax;
  Convergence convergence = Convergence::kConverged;
  bool open = false;
  uint32_t mapped_chunks = 0;
  uint64_t setup_mappings = 0;
  uint64_t reads = 0;
  uint64_t size = 0;
  absl::FunctionRef<std::string()> path;  // bytes; called at most once, and only where it is needed
};

// Of a file that is described already. Both outlive the glance.
FileGlance GlanceOf(const LiveFile& file, absl::FunctionRef<std::string()> path);

// `a` stands in front of `b` in a list of that order.
bool IsBefore(const FileQuery::Place& a, const FileQuery::Place& b);

// Not thread-safe. `query` outlives it.
class FileSelector {
 public:
  explicit FileSelector(const FileQuery& query);

  // A file goes by, in any order; each at most once.
  void Look(const FileGlance& file);

  // How many fulfilled the conditions.
  uint64_t total() const { return total_; }
  // There are files behind the page.
  bool more() const { return more_; }
  // The page, in its order. Once.
  std::vector<FileQuery::Place> Take();

 private:
  const FileQuery& query_;
  uint64_t total_ = 0;
  bool more_ = false;
  std::vector<FileQuery::Place> best_;  // a heap with the last of them on top
};

// Whether the file fulfils the query's conditions, whatever its place.
bool Fulfils(const FileQuery& query, const LiveFile& file);

// The page, and `find` for what is shown of each of its files: nullopt for one that has gone. Files that no longer
// fulfil the conditions are left out.
FilePage MakePage(const FileQuery& query, FileSelector* selector,
                  absl::FunctionRef<std::optional<LiveFile>(const FileQuery::Place&)> find);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_FILE_QUERY_H_
