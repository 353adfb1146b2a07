// A list of messages on standard output, page by page, in each format.
#ifndef DAXVMM_CONTROL_CTL_LIST_PRINTER_H_
#define DAXVMM_CONTROL_CTL_LIST_PRINTER_H_

#include <string>

#include "control/ctl/runner.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {

// For programs it writes one reply that holds all pages, without having all of it in memory.
class ListPrinter {
 public:
  // `field`: of the reply's repeated field. `table` has no rows yet.
  ListPrinter(const Runner& runner, std::string field, TextTable table)
      : runner_(runner), field_(std::move(field)), table_(std::move(table)) {}

  // Before the first page: the line above the table.
  void SetTitle(std::string title) { title_ = std::move(title); }
  // One page: an object of each element for programs, else what `table` has got as rows.
  void AddObject(const google::protobuf::Message& element);
  TextTable* table() { return &table_; }
  ExitCode EndPage();
  // `rest`: the reply without its elements.
  ExitCode End(const google::protobuf::Message& rest);

 private:
  const Runner& runner_;
  const std::string field_;
  TextTable table_;
  std::string title_;
  std::string pending_;
  bool begun_ = false;  // something was written
  bool any_ = false;    // there was an element
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_LIST_PRINTER_H_
