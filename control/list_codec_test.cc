#include "control/list_codec.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error_reason.h"
#include "control/window_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

v1::ListFilesRequest FullRequest() {
  v1::ListFilesRequest request;
  request.set_share("data");
  request.set_page_size(7);
  request.add_states(v1::CONVERGENCE_UNKNOWN);
  request.add_states(v1::CONVERGENCE_NOTICED_STILL_HELD);
  request.set_decision_dax(true);
  request.set_told_dax(false);
  request.set_open(true);
  request.set_mapped(false);
  request.set_overridden(true);
  request.set_subtree("a/\\xff//");
  request.set_order(v1::ListFilesRequest::ORDER_SIZE);
  request.mutable_read_mask()->add_paths("path");
  request.mutable_read_mask()->add_paths("attributes_left");
  return request;
}

TEST(ListFilesCodec, CarriesEveryCondition) {
  const auto command = DecodeListFiles(FullRequest());
  ASSERT_TRUE(command.ok()) << command.status();
  const FileQuery& query = command->query;
  EXPECT_EQ(query.share_tag, "data");
  EXPECT_EQ(query.limit, 7u);
  EXPECT_THAT(query.states, ElementsAre(Convergence::kUnknown, Convergence::kNoticedStillHeld));
  EXPECT_EQ(query.decision_dax, true);
  EXPECT_EQ(query.told_dax, false);
  EXPECT_EQ(query.open, true);
  EXPECT_EQ(query.mapped, false);
  EXPECT_EQ(query.overridden, true);
  EXPECT_EQ(query.subtree, "a/\xff");
  EXPECT_EQ(query.order, FileQuery::Order::kSize);
  EXPECT_FALSE(query.after.has_value());
  EXPECT_THAT(command->fields, ElementsAre(3, 12));
}

TEST(ListFilesCodec, NothingAskedForIsEverything) {
  const auto command = DecodeListFiles({});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->query.limit, 1000u);
  EXPECT_TRUE(command->query.states.empty());
  EXPECT_FALSE(command->query.decision_dax.has_value());
  EXPECT_EQ(command->query.order, FileQuery::Order::kPath);
  EXPECT_TRUE(command->fields.empty());
  v1::ListFilesRequest large;
  large.set_page_size(UINT32_MAX);
  EXPECT_EQ(DecodeListFiles(large)->query.limit, 10000u);
}

TEST(ListFilesCodec, EveryStateAndOrderOfTheContractIsKnown) {
  for (int i = 1; i < v1::Convergence_descriptor()->value_count(); ++i) {
    v1::ListFilesRequest request;
    request.add_states(static_cast<v1::Convergence>(i));
    const auto command = DecodeListFiles(request);
    ASSERT_TRUE(command.ok()) << command.status();
    EXPECT_EQ(command->query.states[0], static_cast<Convergence>(i - 1));
  }
  for (int i = 0; i < v1::ListFilesRequest::Order_descriptor()->value_count(); ++i) {
    v1::ListFilesRequest request;
    request.set_order(static_cast<v1::ListFilesRequest::Order>(i));
    EXPECT_TRUE(DecodeListFiles(request).ok()) << i;
  }
}

TEST(ListFilesCodec, ABadFieldIsNamed) {
  const std::vector<std::pair<std::string, std::function<void(v1::ListFilesRequest*)>>> cases = {
      {"share", [](auto* r) { r->set_share(std::string(37, 't')); }},
      {"states[2]", [](auto* r) { r->add_states(v1::CONVERGENCE_UNSPECIFIED); }},
      {"states[2]", [](auto* r) { r->add_states(static_cast<v1::Convergence>(7)); }},
      {"states",
       [](auto* r) {
         for (int i = 0; i < 15; ++i) r->add_states(v1::CONVERGENCE_UNKNOWN);
       }},
      {"subtree", [](auto* r) { r->set_subtree("/a"); }},
      {"subtree", [](auto* r) { r->set_subtree(std::string(5000, 'a')); }},
      {"order", [](auto* r) { r->set_order(static_cast<v1::ListFilesRequest::Order>(6)); }},
      {"order", [](auto* r) { r->set_order(static_cast<v1::ListFilesRequest::Order>(-1)); }},
      {"read_mask", [](auto* r) { r->mutable_read_mask()->clear_paths(); }},
      {"read_mask", [](auto* r) { r->mutable_read_mask()->add_paths("name"); }},
      {"read_mask", [](auto* r) { r->mutable_read_mask()->add_paths("attributes_left.seconds"); }},
      {"page_token", [](auto* r) { r->set_page_token("x"); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::ListFilesRequest request = FullRequest();
    spoil(&request);
    const auto command = DecodeListFiles(request);
    ASSERT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(command.status().message()), StartsWith(field + ": "));
    EXPECT_LT(command.status().message().size(), 300u);
  }
}

FilePage PageOf(const std::vector<std::string>& paths) {
  FilePage page;
  for (const std::string& path : paths) {
    page.entries.push_back({{.amount = 9, .share_tag = "data", .path = path, .node_id = 4}, {.path = path}});
  }
  page.total = 100;
  return page;
}

TEST(ListFilesCodec, ATokenLeadsBehindTheLastFileOfAPage) {
  v1::ListFilesRequest request = FullRequest();
  const auto command = DecodeListFiles(request);
  ASSERT_TRUE(command.ok());
  FilePage page = PageOf({"a\xff"});
  v1::ListFilesResponse response;
  EncodeFilePage(page, 3, *command, &response);
  EXPECT_EQ(response.next_page_token(), "") << "nothing follows";
  EXPECT_EQ(response.total_size(), 100u);
  page.next_after = page.entries[0].place;
  EncodeFilePage(page, 3, *command, &response);
  request.set_page_token(response.next_page_token());
  request.set_page_size(8);
  const auto next = DecodeListFiles(request);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->query.after, page.entries[0].place);
}

TEST(ListFilesCodec, APageThatIsTooLargeIsCutAndLeadsToTheRest) {
  const auto command = DecodeListFiles({});
  v1::ListFilesResponse response;
  const FilePage page = PageOf({std::string(400, 'a'), std::string(400, 'b'), std::string(400, 'c')});
  EncodeFilePage(page, 1, *command, &response, 1000);
  EXPECT_EQ(response.files_size(), 2);
  EXPECT_LE(response.ByteSizeLong(), 2000u);
  v1::ListFilesRequest request;
  request.set_page_token(response.next_page_token());
  EXPECT_EQ(DecodeListFiles(request)->query.after, page.entries[1].place);
  // One file always fits, or nobody would come further.
  EncodeFilePage(page, 1, *command, &response, 10);
  EXPECT_EQ(response.files_size(), 1);
}

TEST(ListFilesCodec, OnlyFieldsOfTheMaskAreFilled) {
  v1::ListFilesRequest request;
  request.mutable_read_mask()->add_paths("reads");
  FilePage page = PageOf({"a"});
  page.entries[0].file.reads = 5;
  page.entries[0].file.told_dax = true;
  v1::ListFilesResponse response;
  EncodeFilePage(page, 1, *DecodeListFiles(request), &response);
  EXPECT_EQ(response.files(0).ShortDebugString(), "reads: 5");
  request.mutable_read_mask()->add_paths("*");
  EncodeFilePage(page, 1, *DecodeListFiles(request), &response);
  EXPECT_EQ(response.files(0).path(), "a");
}

TEST(ListMappingsCodec, ConditionsAndTokens) {
  v1::ListMappingsRequest request;
  request.set_share("data");
  request.set_path("a\\xff");
  auto command = DecodeListMappings(request);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(std::get<std::string>(*command->query.file), "a\xff");
  v1::ListMappingsResponse response;
  MappingPage page;
  page.mappings = {{.share_tag = "data", .at = WindowOffset(4096)}, {.share_tag = "data", .at = WindowOffset(8192)}};
  EncodeMappingPage(page, *command, &response);
  EXPECT_EQ(response.next_page_token(), "");
  page.more = true;
  EncodeMappingPage(page, *command, &response);
  request.set_page_token(response.next_page_token());
  EXPECT_EQ(DecodeListMappings(request)->query.after, (MappingQuery::Place{"data", WindowOffset(8192)}));
  EncodeMappingPage(page, *command, &response, 1);
  EXPECT_EQ(response.mappings_size(), 1);
  request.set_page_token(response.next_page_token());
  EXPECT_EQ(DecodeListMappings(request)->query.after, (MappingQuery::Place{"data", WindowOffset(4096)}));
  // A token of another list.
  v1::ListFilesRequest files;
  files.set_share("data");
  files.set_page_token(response.next_page_token());
  EXPECT_EQ(ReasonOf(DecodeListFiles(files).status()), "PAGE_TOKEN_OF_OTHER_CALL");
}

TEST(ListMappingsCodec, ABadFieldIsNamed) {
  const std::vector<std::pair<std::string, std::function<void(v1::ListMappingsRequest*)>>> cases = {
      {"share", [](auto* r) { r->set_share(std::string(37, 't')); }},
      {"share", [](auto* r) { r->set_node_id(3); }},
      {"node_id", [](auto* r) { r->set_node_id(0); }},
      {"path", [](auto* r) { r->set_path(""); }},
      {"path", [](auto* r) { r->set_path(std::string(5000, 'a')); }},
      {"page_token", [](auto* r) { r->set_page_token("AAAA"); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::ListMappingsRequest request;
    spoil(&request);
    const auto command = DecodeListMappings(request);
    ASSERT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(command.status().message()), StartsWith(field + ": "));
  }
}

TEST(WatchWindowCodec, DefaultsAndBounds) {
  v1::WatchWindowRequest request;
  EXPECT_EQ(DecodeWatchWindow(request)->interval, absl::Seconds(1));
  request.mutable_interval()->set_seconds(3600);
  EXPECT_EQ(DecodeWatchWindow(request)->interval, absl::Hours(1));
  for (const auto& [seconds, nanos] :
       std::vector<std::pair<int64_t, int32_t>>{{0, 99'999'999}, {3600, 1}, {0, 0}, {-1, 0}, {INT64_MAX, 0}}) {
    request.mutable_interval()->set_seconds(seconds);
    request.mutable_interval()->set_nanos(nanos);
    EXPECT_THAT(std::string(DecodeWatchWindow(request).status().message()), StartsWith("interval: ")) << seconds;
  }
}

TEST(PageToken, IsOfItsCallOnly) {
  const PageToken token = {.amount = 1, .number = ~uint64_t{0}, .share_tag = "data", .path = std::string("a\0b", 3)};
  const std::string text = EncodePageToken(token, 77);
  const auto back = DecodePageToken(text, 77);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->amount, 1u);
  EXPECT_EQ(back->number, ~uint64_t{0});
  EXPECT_EQ(back->share_tag, "data");
  EXPECT_EQ(back->path, token.path);
  EXPECT_EQ(ReasonOf(DecodePageToken(text, 78).status()), "PAGE_TOKEN_OF_OTHER_CALL");
}

TEST(PageToken, WhateverElseIsRefused) {
  const std::string text = EncodePageToken({.share_tag = "data", .path = "a"}, 77);
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(ReasonOf(DecodePageToken(text.substr(0, length), 77).status()), "BAD_PAGE_TOKEN") << length;
  }
  for (size_t at = 0; at + 2 < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(ReasonOf(DecodePageToken(changed, 77).status()), "BAD_PAGE_TOKEN") << at;
  }
  EXPECT_EQ(ReasonOf(DecodePageToken(std::string(100000, 'A'), 77).status()), "BAD_PAGE_TOKEN");
}

TEST(PageToken, ConditionsAreAllFieldsButThePageItself) {
  v1::ListFilesRequest request = FullRequest();
  const uint64_t conditions = ConditionsOf(request);
  request.set_page_size(99);
  request.set_page_token("x");
  EXPECT_EQ(ConditionsOf(request), conditions);
  const auto* const type = v1::ListFilesRequest::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const std::string& name = type->field(i)->name();
    if (name == "page_size" || name == "page_token") continue;
    v1::ListFilesRequest other = FullRequest();
    other.GetReflection()->ClearField(&other, type->field(i));
    EXPECT_NE(ConditionsOf(other), conditions) << name;
  }
}

}  // namespace
}  // namespace daxvmm::control
