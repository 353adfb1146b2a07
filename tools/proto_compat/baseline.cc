#include "tools/proto_compat/baseline.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <vector>

#include "absl/strings/str_cat.h"

namespace daxvmm::proto_compat {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::Message;
using google::protobuf::ServiceDescriptorProto;
using google::protobuf::TextFormat;

constexpr char kHead[] =
    "# proto-file: google/protobuf/descriptor.proto\n"
    "# proto-message: google.protobuf.FileDescriptorSet\n"
    "#\n"
    "# What clients and state directories have been promised: //proto:contract_test compares what is built with it.\n"
    "# Written by scripts/update-proto-baseline; not to be edited.\n";

// What gets lines of its own for its parts; everything else is one line.
bool HasParts(const Message& message) {
  const auto* const type = message.GetDescriptor();
  return type == FileDescriptorProto::descriptor() || type == DescriptorProto::descriptor() ||
         type == EnumDescriptorProto::descriptor() || type == ServiceDescriptorProto::descriptor();
}

void Write(const Message& message, const std::string& indent, std::string* out);

void WriteOne(const FieldDescriptor& field, const Message& value, const std::string& indent, std::string* out) {
  if (HasParts(value)) {
    absl::StrAppend(out, indent, field.name(), " {\n");
    Write(value, indent + "  ", out);
    absl::StrAppend(out, indent, "}\n");
  } else {
    absl::StrAppend(out, indent, field.name(), " { ", value.ShortDebugString(), " }\n");
  }
}

void Write(const Message& message, const std::string& indent, std::string* out) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);  // by number
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        WriteOne(*field,
                 field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                      : reflection.GetMessage(message, field),
                 indent, out);
      } else {
        std::string value;
        TextFormat::PrintFieldValueToString(message, field, field->is_repeated() ? i : -1, &value);
        absl::StrAppend(out, indent, field->name(), ": ", value, "\n");
      }
    }
  }
}

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

std::string FormatBaseline(const FileDescriptorSet& set) {
  std::string out = kHead;
  for (FileDescriptorProto file : set.file()) {
    file.clear_source_code_info();
    absl::StrAppend(&out, "\nfile {\n");
    Write(file, "  ", &out);
    absl::StrAppend(&out, "}\n");
  }
  return out;
}

absl::StatusOr<FileDescriptorSet> ParseBaseline(const std::string& text) {
  FileDescriptorSet set;
  FirstError error;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &set)) return absl::InvalidArgumentError(error.text());
  return set;
}

absl::StatusOr<FileDescriptorSet> ParseDescriptorSet(const std::string& bytes) {
  FileDescriptorSet set;
  if (!set.ParseFromString(bytes) || set.file().empty()) {
    return absl::InvalidArgumentError("it is no descriptor set with a file in it");
  }
  return set;
}

}  // namespace daxvmm::proto_compat
