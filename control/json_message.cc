#include "control/json_message.h"

#include <cstdint>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = JsonValue::Kind;

constexpr size_t kMaxShown = 64;  // of an operator's text in an error

class Converter {
 public:
  explicit Converter(FieldLines* lines) : lines_(lines) {}

  absl::Status Fill(const JsonValue& value, const std::string& path, Message* message) {
    if (value.kind != Kind::kObject) return Wrong(value, path, "an object");
    std::set<int> seen;
    for (const JsonMember& member : value.members) {
      const FieldDescriptor* const field = Find(*message, member.name);
      const std::string name = Below(path, field != nullptr ? field->name() : Shown(member.name));
      if (field == nullptr) {
        return Error(member.line, name, absl::StrCat("unknown field of ", message->GetDescriptor()->full_name()));
      }
      if (!seen.insert(field->number()).second) return Error(member.line, name, "is there twice");
      lines_->emplace(name, member.line);
      if (member.value.kind == Kind::kNull) continue;
      RETURN_IF_ERROR(field->is_repeated() ? FillList(member.value, name, message, field)
                                           : FillOne(member.value, name, message, field));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Error(int line, const std::string& path, absl::string_view what) {
    return absl::InvalidArgumentError(path.empty() ? absl::StrCat(line, ": ", what)
                                                   : absl::StrCat(line, ": ", path, ": ", what));
  }
  static absl::Status Wrong(const JsonValue& value, const std::string& path, absl::string_view wanted) {
    return Error(value.line, path, absl::StrCat(wanted, " is needed, not ", JsonKindName(value.kind)));
  }
  static std::string Below(const std::string& path, const std::string& name) {
    return path.empty() ? name : absl::StrCat(path, ".", name);
  }
  static std::string Shown(const std::string& text) {
    return text.size() <= kMaxShown ? text : EscapeNonUtf8(text.substr(0, kMaxShown)) + "...";
  }

  // By the name in the .proto, or by its lowerCamelCase form.
  static const FieldDescriptor* Find(const Message& message, const std::string& name) {
    const auto* const descriptor = message.GetDescriptor();
    if (const FieldDescriptor* field = descriptor->FindFieldByName(name)) return field;
    for (int i = 0; i < descriptor->field_count(); ++i) {
      if (descriptor->field(i)->json_name() == name) return descriptor->field(i);
    }
    return nullptr;
  }

  absl::Status FillList(const JsonValue& value, const std::string& path, Message* message,
                        const FieldDescriptor* field) {
    if (value.kind != Kind::kArray) return Wrong(value, path, "an array");
    for (size_t i = 0; i < value.items.size(); ++i) {
      const std::string item_path = absl::StrCat(path, "[", i, "]");
      lines_->emplace(item_path, value.items[i].line);
      RETURN_IF_ERROR(FillOne(value.items[i], item_path, message, field));
    }
    return absl::OkStatus();
  }

  // Sets the field, or adds an element to it.
  absl::Status FillOne(const JsonValue& value, const std::string& path, Message* message,
                       const FieldDescriptor* field) {
    const Reflection* const reflection = message->GetReflection();
    const bool add = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Fill(value, path,
                    add ? reflection->AddMessage(message, field) : reflection->MutableMessage(message, field));
      case FieldDescriptor::CPPTYPE_STRING:
        if (value.kind != Kind::kString) return Wrong(value, path, "a string");
        add ? reflection->AddString(message, field, value.text) : reflection->SetString(message, field, value.text);
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_BOOL:
        if (value.kind != Kind::kBool) return Wrong(value, path, "true or false");
        add ? reflection->AddBool(message, field, value.boolean) : reflection->SetBool(message, field, value.boolean);
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_UINT32: {
        ASSIGN_OR_RETURN(const uint32_t number, Whole<uint32_t>(value, path));
        add ? reflection->AddUInt32(message, field, number) : reflection->SetUInt32(message, field, number);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_UINT64: {
        ASSIGN_OR_RETURN(const uint64_t number, Whole<uint64_t>(value, path));
        add ? reflection->AddUInt64(message, field, number) : reflection->SetUInt64(message, field, number);
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        ASSIGN_OR_RETURN(const int number, EnumNumber(value, path, *field->enum_type()));
        add ? reflection->AddEnumValue(message, field, number) : reflection->SetEnumValue(message, field, number);
        return absl::OkStatus();
      }
      default:
        return Error(value.line, path, "this kind of field cannot be read from JSON");
    }
  }

  // The mapping writes 64-bit numbers as strings.
  template <typename Integer>
  static absl::StatusOr<Integer> Whole(const JsonValue& value, const std::string& path) {
    if (value.kind != Kind::kNumber && value.kind != Kind::kString) return Wrong(value, path, "a number");
    Integer number = 0;
    if (!absl::SimpleAtoi(value.text, &number)) {
      return Error(value.line, path,
                   absl::StrCat("\"", Shown(value.text), "\" is not a whole number from 0 to ", ~Integer{0}));
    }
    return number;
  }

  static absl::StatusOr<int> EnumNumber(const JsonValue& value, const std::string& path, const EnumDescriptor& type) {
    int number = 0;
    if (value.kind == Kind::kNumber && absl::SimpleAtoi(value.text, &number)) return number;
    if (value.kind != Kind::kString) return Wrong(value, path, "a name");
    if (const auto* named = type.FindValueByName(value.text)) return named->number();
    std::string names;
    for (int i = 1; i < type.value_count(); ++i) {
      absl::StrAppend(&names, i > 1 ? ", " : "", type.value(i)->name());
    }
    return Error(value.line, path, absl::StrCat("\"", Shown(value.text), "\" is none of ", names));
  }

  FieldLines* const lines_;
};

}  // namespace

absl::Status JsonToMessage(const JsonValue& value, Message* message, FieldLines* lines) {
  return Converter(lines).Fill(value, "", message);
}

}  // namespace daxvmm::control
