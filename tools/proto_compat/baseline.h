// The text form of a contract that is kept in the tree, to be read in a review and compared with what is built.
#ifndef DAXVMM_TOOLS_PROTO_COMPAT_BASELINE_H_
#define DAXVMM_TOOLS_PROTO_COMPAT_BASELINE_H_

#include <google/protobuf/descriptor.pb.h>

#include <string>

#include "absl/status/statusor.h"

namespace daxvmm::proto_compat {

// A google.protobuf.FileDescriptorSet in protobuf's text format with a line for each field, enum value and method, and
// a comment on top that says where it comes from. Comments and positions of the sources are left out. The same set
// gives the same bytes.
std::string FormatBaseline(const google::protobuf::FileDescriptorSet& set);

// INVALID_ARGUMENT with line and column.
absl::StatusOr<google::protobuf::FileDescriptorSet> ParseBaseline(const std::string& text);

// The descriptor set that protoc wrote. INVALID_ARGUMENT if it is none, or an empty one.
absl::StatusOr<google::protobuf::FileDescriptorSet> ParseDescriptorSet(const std::string& bytes);

}  // namespace daxvmm::proto_compat

#endif  // DAXVMM_TOOLS_PROTO_COMPAT_BASELINE_H_
