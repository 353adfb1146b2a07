#include "tools/proto_compat/compat.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace daxvmm::proto_compat {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;
using google::protobuf::ServiceDescriptorProto;

template <typename Proto>
struct Placed {
  const Proto* proto;
  std::string syntax;  // of its file: it says what an absent value means
};

// Everything of a set by its full name.
struct Contract {
  std::map<std::string, Placed<DescriptorProto>> messages;
  std::map<std::string, Placed<EnumDescriptorProto>> enums;
  std::map<std::string, Placed<ServiceDescriptorProto>> services;
};

std::string Join(const std::string& scope, const std::string& name) {
  return scope.empty() ? name : absl::StrCat(scope, ".", name);
}

void AddMessage(const std::string& scope, const DescriptorProto& message, const std::string& syntax, Contract* all) {
  const std::string name = Join(scope, message.name());
  all->messages.insert({name, {&message, syntax}});
  for (const auto& nested : message.nested_type()) AddMessage(name, nested, syntax, all);
  for (const auto& nested : message.enum_type()) all->enums.insert({Join(name, nested.name()), {&nested, syntax}});
}

Contract Flatten(const FileDescriptorSet& set) {
  Contract all;
  for (const FileDescriptorProto& file : set.file()) {
    const std::string syntax = file.syntax().empty() ? "proto2" : file.syntax();
    for (const auto& message : file.message_type()) AddMessage(file.package(), message, syntax, &all);
    for (const auto& one : file.enum_type()) all.enums.insert({Join(file.package(), one.name()), {&one, syntax}});
    for (const auto& one : file.service()) all.services.insert({Join(file.package(), one.name()), {&one, syntax}});
  }
  return all;
}

// Of numbers; ends included.
using Range = std::pair<int64_t, int64_t>;

// In a message a range ends before its `end`, in an enum with it.
std::vector<Range> Reserved(const DescriptorProto& message) {
  std::vector<Range> ranges;
  for (const auto& range : message.reserved_range()) ranges.emplace_back(range.start(), range.end() - int64_t{1});
  return ranges;
}

std::vector<Range> Reserved(const EnumDescriptorProto& one) {
  std::vector<Range> ranges;
  for (const auto& range : one.reserved_range()) ranges.emplace_back(range.start(), range.end());
  return ranges;
}

// Whether `ranges` together hold all of `wanted`.
bool Covers(std::vector<Range> ranges, Range wanted) {
  std::sort(ranges.begin(), ranges.end());
  for (const Range& range : ranges) {
    if (range.first <= wanted.first && range.second >= wanted.first) wanted.first = range.second + 1;
  }
  return wanted.first > wanted.second;
}

std::string RangeText(const Range& range) {
  return range.first == range.second ? absl::StrCat(range.first) : absl::StrCat(range.first, " to ", range.second);
}

class Comparison {
 public:
  Comparison(const FileDescriptorSet& baseline, const FileDescriptorSet& current)
      : before_(Flatten(baseline)), now_(Flatten(current)) {}

  std::vector<std::string> Run() {
    Each("message", before_.messages, now_.messages, [this](auto&... args) { Message(args...); });
    Each("enum", before_.enums, now_.enums, [this](auto&... args) { Enum(args...); });
    Each("service", before_.services, now_.services, [this](auto&... args) { Service(args...); });
    return std::move(complaints_);
  }

 private:
  template <typename... Parts>
  void Complain(const std::string& name, const Parts&... what) {
    complaints_.push_back(absl::StrCat(name, ": ", what...));
  }

  template <typename T>
  void Unchanged(const std::string& name, const char* what, const T& before, const T& now) {
    if (before != now) Complain(name, "its ", what, " was ", before, " and is ", now);
  }

  template <typename Proto, typename Compare>
  void Each(const char* kind, const std::map<std::string, Placed<Proto>>& before,
            const std::map<std::string, Placed<Proto>>& now, Compare compare) {
    for (const auto& [name, one] : before) {
      const auto found = now.find(name);
      if (found == now.end()) {
        Complain(name, "the ", kind, " was removed or renamed");
        continue;
      }
      Unchanged<std::string>(name, "syntax", one.syntax, found->second.syntax);
      compare(name, *one.proto, *found->second.proto);
    }
  }

  // Of a message or an enum. `members` are the present ones by number, which no reservation of the baseline may meet.
  template <typename Proto>
  void Reservations(const std::string& name, const Proto& before, const Proto& now,
                    const std::multimap<int64_t, std::string>& members) {
    for (const Range& range : Reserved(before)) {
      if (!Covers(Reserved(now), range)) Complain(name, "the number ", RangeText(range), " is not reserved any more");
      for (const auto& [number, member] : members) {
        if (number >= range.first && number <= range.second) {
          Complain(Join(name, member), "it has the number ", number, ", which was reserved");
        }
      }
    }
    const std::set<std::string> kept(now.reserved_name().begin(), now.reserved_name().end());
    for (const std::string& reserved : before.reserved_name()) {
      if (kept.count(reserved) == 0) Complain(name, "the name \"", reserved, "\" is not reserved any more");
      for (const auto& [number, member] : members) {
        if (member == reserved) Complain(Join(name, member), "its name was reserved");
      }
    }
  }

  void Message(const std::string& name, const DescriptorProto& before, const DescriptorProto& now) {
    Unchanged<int>(name, "being a map's entry", before.options().map_entry(), now.options().map_entry());
    std::map<int, const FieldDescriptorProto*> by_number;
    std::map<std::string, int> numbers;
    std::multimap<int64_t, std::string> members;
    for (const auto& field : now.field()) {
      by_number[field.number()] = &field;
      numbers[field.name()] = field.number();
      members.insert({field.number(), field.name()});
    }
    for (const auto& field : before.field()) {
      const std::string full_name = Join(name, field.name());
      const auto found = by_number.find(field.number());
      const auto moved = numbers.find(field.name());
      if (moved != numbers.end() && moved->second != field.number()) {
        Complain(full_name, "its number was ", field.number(), " and is ", moved->second);
      } else if (found == by_number.end()) {
        Complain(full_name, "the field was removed");
      } else {
        Field(full_name, before, field, now, *found->second);
      }
    }
    Reservations(name, before, now, members);
  }

  static std::string JsonName(const FieldDescriptorProto& field) {
    if (field.has_json_name()) return field.json_name();
    std::string name;
    bool upper = false;
    for (const char c : field.name()) {
      if (c != '_') name += upper ? absl::ascii_toupper(static_cast<unsigned char>(c)) : c;
      upper = c == '_';
    }
    return name;
  }

  static std::string TypeName(const FieldDescriptorProto& field) {
    return absl::StrCat(FieldDescriptorProto::Type_Name(field.type()), field.type_name().empty() ? "" : " ",
                        field.type_name());
  }

  // "" for none; what `optional` of proto3 makes is none of the author's.
  static std::string OneofName(const DescriptorProto& message, const FieldDescriptorProto& field) {
    if (!field.has_oneof_index() || field.proto3_optional()) return "none";
    const int index = field.oneof_index();
    return index >= 0 && index < message.oneof_decl_size() ? message.oneof_decl(index).name() : "unknown";
  }

  void Field(const std::string& name, const DescriptorProto& old_message, const FieldDescriptorProto& before,
             const DescriptorProto& new_message, const FieldDescriptorProto& now) {
    Unchanged(name, "name", before.name(), now.name());
    Unchanged(name, "JSON name", JsonName(before), JsonName(now));
    Unchanged(name, "type", TypeName(before), TypeName(now));
    Unchanged(name, "label", FieldDescriptorProto::Label_Name(before.label()),
              FieldDescriptorProto::Label_Name(now.label()));
    Unchanged<std::string>(name, "presence", before.proto3_optional() ? "optional" : "implicit",
                           now.proto3_optional() ? "optional" : "implicit");
    Unchanged(name, "oneof", OneofName(old_message, before), OneofName(new_message, now));
    Unchanged(name, "default value", before.default_value(), now.default_value());
  }

  void Enum(const std::string& name, const EnumDescriptorProto& before, const EnumDescriptorProto& now) {
    std::map<std::string, int> numbers;
    std::multimap<int64_t, std::string> members;
    for (const auto& value : now.value()) {
      numbers[value.name()] = value.number();
      members.insert({value.number(), value.name()});
    }
    for (const auto& value : before.value()) {
      const std::string full_name = Join(name, value.name());
      const auto found = numbers.find(value.name());
      if (found == numbers.end()) {
        Complain(full_name, "the enum value was removed or renamed");
      } else {
        Unchanged(full_name, "number", value.number(), found->second);
      }
    }
    Reservations(name, before, now, members);
  }

  void Service(const std::string& name, const ServiceDescriptorProto& before, const ServiceDescriptorProto& now) {
    std::map<std::string, const MethodDescriptorProto*> methods;
    for (const auto& method : now.method()) methods[method.name()] = &method;
    for (const auto& method : before.method()) {
      const std::string full_name = Join(name, method.name());
      const auto found = methods.find(method.name());
      if (found == methods.end()) {
        Complain(full_name, "the method was removed or renamed");
        continue;
      }
      Unchanged(full_name, "request", method.input_type(), found->second->input_type());
      Unchanged(full_name, "response", method.output_type(), found->second->output_type());
      Unchanged<std::string>(full_name, "request's streaming", method.client_streaming() ? "on" : "off",
                             found->second->client_streaming() ? "on" : "off");
      Unchanged<std::string>(full_name, "response's streaming", method.server_streaming() ? "on" : "off",
                             found->second->server_streaming() ? "on" : "off");
    }
  }

  const Contract before_;
  const Contract now_;
  std::vector<std::string> complaints_;
};

}  // namespace

std::vector<std::string> BreakingChanges(const FileDescriptorSet& baseline, const FileDescriptorSet& current) {
  return Comparison(baseline, current).Run();
}

}  // namespace daxvmm::proto_compat
