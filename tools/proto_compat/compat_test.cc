#include "tools/proto_compat/compat.h"

#include <google/protobuf/text_format.h>

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/proto_compat/baseline.h"

namespace daxvmm::proto_compat {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kContract[] = R"(
  file {
    name: "a.proto" package: "p" syntax: "proto3"
    message_type {
      name: "M"
      field { name: "size_below" number: 1 label: LABEL_OPTIONAL type: TYPE_UINT64 json_name: "sizeBelow" }
      field { name: "kind" number: 2 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".p.E" }
      field { name: "left" number: 3 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
      field { name: "right" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 }
      field { name: "maybe" number: 5 label: LABEL_OPTIONAL type: TYPE_BOOL oneof_index: 1 proto3_optional: true }
      nested_type {
        name: "N"
        field { name: "deep" number: 1 label: LABEL_REPEATED type: TYPE_INT32 }
      }
      enum_type { name: "K" value { name: "K_ZERO" number: 0 } }
      oneof_decl { name: "side" }
      oneof_decl { name: "_maybe" }
      reserved_range { start: 10 end: 13 }
      reserved_name: "gone"
    }
    message_type { name: "Empty" }
    enum_type {
      name: "E"
      value { name: "E_ZERO" number: 0 }
      value { name: "E_ONE" number: 1 }
      reserved_range { start: 7 end: 8 }
      reserved_name: "E_GONE"
    }
    service {
      name: "S"
      method { name: "Get" input_type: ".p.M" output_type: ".p.Empty" }
      method { name: "Watch" input_type: ".p.M" output_type: ".p.Empty" server_streaming: true }
    }
  })";

FileDescriptorSet Contract() {
  auto parsed = ParseBaseline(kContract);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

// What the present contract breaks after `change`.
std::vector<std::string> After(const std::function<void(FileDescriptorProto&)>& change) {
  FileDescriptorSet changed = Contract();
  change(*changed.mutable_file(0));
  return BreakingChanges(Contract(), changed);
}

std::vector<std::string> AfterMessage(const std::function<void(DescriptorProto&)>& change) {
  return After([&](FileDescriptorProto& file) { change(*file.mutable_message_type(0)); });
}

std::vector<std::string> AfterEnum(const std::function<void(EnumDescriptorProto&)>& change) {
  return After([&](FileDescriptorProto& file) { change(*file.mutable_enum_type(0)); });
}

// Of the field "size_below".
std::vector<std::string> AfterField(const std::function<void(FieldDescriptorProto&)>& change) {
  return AfterMessage([&](DescriptorProto& message) { change(*message.mutable_field(0)); });
}

std::vector<std::string> AfterMethod(int index, const std::function<void(MethodDescriptorProto&)>& change) {
  return After([&](FileDescriptorProto& file) { change(*file.mutable_service(0)->mutable_method(index)); });
}

template <typename List>
void Remove(List* list, int index) {
  list->DeleteSubrange(index, 1);
}

TEST(BreakingChangesTest, TheSameIsFine) { EXPECT_THAT(BreakingChanges(Contract(), Contract()), IsEmpty()); }

TEST(BreakingChangesTest, WhatIsAddedIsFine) {
  FileDescriptorSet more = Contract();
  FileDescriptorProto& file = *more.mutable_file(0);
  FieldDescriptorProto& field = *file.mutable_message_type(0)->add_field();
  field.set_name("new");
  field.set_number(6);
  field.set_oneof_index(0);
  file.mutable_message_type(0)->add_reserved_name("other");
  file.mutable_enum_type(0)->add_value()->set_name("E_ALIAS");
  file.mutable_service(0)->add_method()->set_name("Put");
  file.add_message_type()->set_name("New");
  more.add_file()->add_service()->set_name("T");
  EXPECT_THAT(BreakingChanges(Contract(), more), IsEmpty());
}

TEST(BreakingChangesTest, TheFileAndTheOrderDoNotMatter) {
  FileDescriptorSet moved = Contract();
  FileDescriptorProto& other = *moved.add_file();
  other.set_package("p");
  other.set_syntax("proto3");
  *other.add_message_type() = moved.file(0).message_type(0);
  FileDescriptorProto& file = *moved.mutable_file(0);
  Remove(file.mutable_message_type(), 0);
  auto* fields = other.mutable_message_type(0)->mutable_field();
  fields->SwapElements(0, 4);
  fields->SwapElements(1, 2);
  EXPECT_THAT(BreakingChanges(Contract(), moved), IsEmpty());
}

TEST(BreakingChangesTest, RemovedThings) {
  EXPECT_THAT(After([](auto& file) { Remove(file.mutable_message_type(), 1); }),
              ElementsAre("p.Empty: the message was removed or renamed"));
  EXPECT_THAT(After([](auto& file) { Remove(file.mutable_enum_type(), 0); }),
              ElementsAre("p.E: the enum was removed or renamed"));
  EXPECT_THAT(After([](auto& file) { file.clear_service(); }), ElementsAre("p.S: the service was removed or renamed"));
  EXPECT_THAT(AfterMessage([](auto& message) { Remove(message.mutable_field(), 0); }),
              ElementsAre("p.M.size_below: the field was removed"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.clear_nested_type(); }),
              ElementsAre("p.M.N: the message was removed or renamed"));
  EXPECT_THAT(AfterMessage([](auto& message) { Remove(message.mutable_nested_type(0)->mutable_field(), 0); }),
              ElementsAre("p.M.N.deep: the field was removed"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.clear_enum_type(); }),
              ElementsAre("p.M.K: the enum was removed or renamed"));
  EXPECT_THAT(AfterEnum([](auto& one) { Remove(one.mutable_value(), 1); }),
              ElementsAre("p.E.E_ONE: the enum value was removed or renamed"));
  EXPECT_THAT(After([](auto& file) { Remove(file.mutable_service(0)->mutable_method(), 0); }),
              ElementsAre("p.S.Get: the method was removed or renamed"));
  EXPECT_EQ(After([](auto& file) { file.set_package("p.v2"); }).size(), 6u) << "whatever was called p.*";
}

TEST(BreakingChangesTest, AFieldThatIsRemovedIsSoThoughItsNumberIsReserved) {
  EXPECT_THAT(AfterMessage([](auto& message) {
                Remove(message.mutable_field(), 0);
                message.add_reserved_range()->set_start(1);
                message.mutable_reserved_range(1)->set_end(2);
              }),
              ElementsAre("p.M.size_below: the field was removed"));
}

TEST(BreakingChangesTest, RenumberedThings) {
  EXPECT_THAT(AfterField([](auto& field) { field.set_number(9); }),
              ElementsAre("p.M.size_below: its number was 1 and is 9"));
  EXPECT_THAT(AfterMessage([](auto& message) {
                message.mutable_field(0)->set_number(2);
                message.mutable_field(1)->set_number(1);
              }),
              ElementsAre("p.M.size_below: its number was 1 and is 2", "p.M.kind: its number was 2 and is 1"));
  EXPECT_THAT(AfterEnum([](auto& one) { one.mutable_value(1)->set_number(2); }),
              ElementsAre("p.E.E_ONE: its number was 1 and is 2"));
}

TEST(BreakingChangesTest, RenamedThings) {
  EXPECT_THAT(AfterField([](auto& field) {
                field.set_name("size_under");
                field.set_json_name("sizeUnder");
              }),
              ElementsAre("p.M.size_below: its name was size_below and is size_under",
                          "p.M.size_below: its JSON name was sizeBelow and is sizeUnder"));
  EXPECT_THAT(AfterField([](auto& field) { field.set_json_name("below"); }),
              ElementsAre("p.M.size_below: its JSON name was sizeBelow and is below"));
  // What protoc derives and what is left to be derived are the same.
  EXPECT_THAT(AfterField([](auto& field) { field.clear_json_name(); }), IsEmpty());
  EXPECT_THAT(AfterEnum([](auto& one) { one.mutable_value(1)->set_name("E_UN"); }),
              ElementsAre("p.E.E_ONE: the enum value was removed or renamed"));
}

TEST(BreakingChangesTest, RetypedFields) {
  EXPECT_THAT(AfterField([](auto& field) { field.set_type(FieldDescriptorProto::TYPE_INT64); }),
              ElementsAre("p.M.size_below: its type was TYPE_UINT64 and is TYPE_INT64"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.mutable_field(1)->set_type_name(".p.M.K"); }),
              ElementsAre("p.M.kind: its type was TYPE_ENUM .p.E and is TYPE_ENUM .p.M.K"));
  EXPECT_THAT(AfterField([](auto& field) { field.set_label(FieldDescriptorProto::LABEL_REPEATED); }),
              ElementsAre("p.M.size_below: its label was LABEL_OPTIONAL and is LABEL_REPEATED"));
  EXPECT_THAT(AfterField([](auto& field) {
                field.set_proto3_optional(true);
                field.set_oneof_index(1);
              }),
              ElementsAre("p.M.size_below: its presence was implicit and is optional"));
  EXPECT_THAT(AfterField([](auto& field) { field.set_default_value("7"); }),
              ElementsAre("p.M.size_below: its default value was  and is 7"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.mutable_options()->set_map_entry(true); }),
              ElementsAre("p.M: its being a map's entry was 0 and is 1"));
}

TEST(BreakingChangesTest, FieldsThatChangeTheirOneof) {
  EXPECT_THAT(AfterField([](auto& field) { field.set_oneof_index(0); }),
              ElementsAre("p.M.size_below: its oneof was none and is side"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.mutable_field(2)->clear_oneof_index(); }),
              ElementsAre("p.M.left: its oneof was side and is none"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.mutable_oneof_decl(0)->set_name("hand"); }),
              ElementsAre("p.M.left: its oneof was side and is hand", "p.M.right: its oneof was side and is hand"));
}

TEST(BreakingChangesTest, WhatIsReservedStaysSo) {
  EXPECT_THAT(AfterMessage([](auto& message) { message.clear_reserved_range(); }),
              ElementsAre("p.M: the number 10 to 12 is not reserved any more"));
  EXPECT_THAT(AfterMessage([](auto& message) { message.clear_reserved_name(); }),
              ElementsAre("p.M: the name \"gone\" is not reserved any more"));
  EXPECT_THAT(AfterEnum([](auto& one) { one.mutable_reserved_range(0)->set_end(7); }),
              ElementsAre("p.E: the number 7 to 8 is not reserved any more"));
  // The same numbers, in other pieces.
  EXPECT_THAT(AfterMessage([](auto& message) {
                message.mutable_reserved_range(0)->set_start(12);
                auto& more = *message.add_reserved_range();
                more.set_start(9);
                more.set_end(12);
              }),
              IsEmpty());
}

TEST(BreakingChangesTest, WhatIsReservedIsNotUsed) {
  EXPECT_THAT(AfterMessage([](auto& message) {
                message.clear_reserved_range();
                auto& field = *message.add_field();
                field.set_name("fresh");
                field.set_number(12);
              }),
              ElementsAre("p.M: the number 10 to 12 is not reserved any more",
                          "p.M.fresh: it has the number 12, which was reserved"));
  EXPECT_THAT(AfterMessage([](auto& message) {
                auto& field = *message.add_field();
                field.set_name("gone");
                field.set_number(20);
              }),
              ElementsAre("p.M.gone: its name was reserved"));
  EXPECT_THAT(AfterEnum([](auto& one) {
                auto& value = *one.add_value();
                value.set_name("E_EIGHT");
                value.set_number(8);
              }),
              ElementsAre("p.E.E_EIGHT: it has the number 8, which was reserved"));
  EXPECT_THAT(AfterMessage([](auto& message) {
                auto& field = *message.add_field();
                field.set_name("beside");
                field.set_number(13);
              }),
              IsEmpty())
      << "13 is where the range ends";
}

TEST(BreakingChangesTest, ChangedMethods) {
  EXPECT_THAT(AfterMethod(0, [](auto& method) { method.set_input_type(".p.Empty"); }),
              ElementsAre("p.S.Get: its request was .p.M and is .p.Empty"));
  EXPECT_THAT(AfterMethod(0, [](auto& method) { method.set_output_type(".p.M"); }),
              ElementsAre("p.S.Get: its response was .p.Empty and is .p.M"));
  EXPECT_THAT(AfterMethod(1, [](auto& method) { method.clear_server_streaming(); }),
              ElementsAre("p.S.Watch: its response's streaming was on and is off"));
  EXPECT_THAT(AfterMethod(1, [](auto& method) { method.set_client_streaming(true); }),
              ElementsAre("p.S.Watch: its request's streaming was off and is on"));
}

TEST(BreakingChangesTest, ChangedSyntax) {
  const auto changes = After([](auto& file) { file.clear_syntax(); });
  EXPECT_THAT(changes, testing::Contains("p.M: its syntax was proto3 and is proto2"));
}

TEST(BaselineTest, IsReadBackAsItWas) {
  FileDescriptorSet set = Contract();
  const std::string text = FormatBaseline(set);
  EXPECT_THAT(text, testing::HasSubstr("    field { name: \"size_below\" number: 1 label: LABEL_OPTIONAL type: "
                                       "TYPE_UINT64 json_name: \"sizeBelow\" }\n"));
  const auto again = ParseBaseline(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), set.SerializeAsString());
  set.mutable_file(0)->mutable_source_code_info()->add_location()->set_leading_comments("words");
  EXPECT_EQ(FormatBaseline(set), text);
}

TEST(BaselineTest, SaysWhereItIsWrong) {
  EXPECT_EQ(ParseBaseline("file {\n  nonsense: 1\n}\n").status().message().substr(0, 4), "2:11");
  EXPECT_FALSE(ParseDescriptorSet("nonsense").ok());
  EXPECT_FALSE(ParseDescriptorSet("").ok());
}

}  // namespace
}  // namespace daxvmm::proto_compat
