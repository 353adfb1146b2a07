// Live files and mappings as rows of a table that may be long.
#ifndef DAXVMM_CONTROL_CTL_FILES_OUTPUT_H_
#define DAXVMM_CONTROL_CTL_FILES_OUTPUT_H_

#include <string>

#include "control/ctl/text_table.h"
#include "control/ctl/view.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

// Empty tables; a row is added by AddFile and AddMapping, and what was added is rendered a page at a time.
TextTable FilesTable(const View& view);
void AddFile(const v1::LiveFile& file, const View& view, TextTable* table);

TextTable MappingsTable(const View& view);
void AddMapping(const v1::Mapping& mapping, const View& view, TextTable* table);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_FILES_OUTPUT_H_
