// What of a protobuf contract must stay as it is, for clients built from an earlier one that speak the wire format or
// JSON: a comparison of two descriptor sets.
#ifndef DAXVMM_TOOLS_PROTO_COMPAT_COMPAT_H_
#define DAXVMM_TOOLS_PROTO_COMPAT_COMPAT_H_

#include <google/protobuf/descriptor.pb.h>

#include <string>
#include <vector>

namespace daxvmm::proto_compat {

// What a client of `baseline` loses with `current`, one line each that begins with the full name of the thing; empty:
// nothing. Things are found by their full names, in whichever file they stand; fields by their numbers.
//
// Breaking is: what is removed (a message, enum, service, field, enum value, method, oneof, or the reservation of a
// number or name); a field's changed name, JSON name, type, label, presence or oneof, even if the wire would bear it;
// an enum value's or a method's changed number, request, response or streaming; a changed syntax of a file; and the use
// of a number or name that `baseline` reserves. Added things are not.
std::vector<std::string> BreakingChanges(const google::protobuf::FileDescriptorSet& baseline,
                                         const google::protobuf::FileDescriptorSet& current);

}  // namespace daxvmm::proto_compat

#endif  // DAXVMM_TOOLS_PROTO_COMPAT_COMPAT_H_
