// ListFiles between its messages and the plain structs of the controller.
#ifndef DAXVMM_CONTROL_LIST_CODEC_H_
#define DAXVMM_CONTROL_LIST_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "control/controller.h"
#include "control/page_token.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

struct ListFilesCommand {
  FileQuery query;
  uint64_t conditions = 0;  // for the token of the next page
  // Of LiveFile, by number, what is to be filled; empty: all.
  std::vector<int> fields;
};
// INVALID_ARGUMENT names the field at fault.
absl::StatusOr<ListFilesCommand> DecodeListFiles(const v1::ListFilesRequest& message);

// `message` is filled anew. Takes as many of the page's files as fit into `limit` bytes, at least one; the token leads
// to the others.
void EncodeFilePage(const FilePage& page, uint64_t generation, const ListFilesCommand& command,
                    v1::ListFilesResponse* message, size_t limit = kMaxPageBytes);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_LIST_CODEC_H_
