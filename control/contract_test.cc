// Every call of the policy and window services with what it answers and what it refuses, over a true connection.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error_reason.h"
#include "control/grpc_status.h"
#include "control/testing/control_server_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using Code = absl::StatusCode;

class ContractTest : public ControlServerTest {
 protected:
  void SetUp() override {
    ControlServerTest::SetUp();
    for (int i = 0; i < 5; ++i) {
      controller_.mappings.push_back({.share_tag = "data",
                                      .at = WindowOffset(static_cast<uint64_t>(i) << 21),
                                      .length = MiB(2),
                                      .node_id = i < 3 ? 2u : 3u,
                                      .path = i < 3 ? "big.bin" : "other",
                                      .mapped_at = absl::FromUnixSeconds(100 + i)});
    }
  }

  std::string Etag() { return client_->GetPolicy()->etag(); }
  absl::Status Set(const std::function<void(v1::SetPolicyRequest*)>& fill) {
    v1::SetPolicyRequest request;
    request.set_named_policy("always");
    fill(&request);
    return client_->ReplacePolicy(request).status();
  }
  absl::Status Override(const std::function<void(v1::SetFileOverrideRequest*)>& fill) {
    v1::SetFileOverrideRequest request;
    request.mutable_override()->set_share("data");
    request.mutable_override()->set_path("f");
    request.mutable_override()->set_outcome(v1::OUTCOME_DAX);
    fill(&request);
    return client_->SetFileOverride(request).status();
  }
  absl::Status Clear(const std::function<void(v1::ClearFileOverrideRequest*)>& fill) {
    v1::ClearFileOverrideRequest request;
    request.set_share("data");
    request.set_path("f");
    fill(&request);
    return client_->ClearFileOverride(request).status();
  }
  absl::Status Explain(const std::function<void(v1::ExplainFileRequest*)>& fill) {
    v1::ExplainFileRequest request;
    request.set_share("data");
    fill(&request);
    return client_->ExplainFile(request).status();
  }
  absl::Status Files(const std::function<void(v1::ListFilesRequest*)>& fill) {
    v1::ListFilesRequest request;
    fill(&request);
    return client_->ListFiles(request).status();
  }
  absl::Status Mappings(const std::function<void(v1::ListMappingsRequest*)>& fill) {
    v1::ListMappingsRequest request;
    fill(&request);
    return client_->ListMappings(request).status();
  }
  absl::Status WatchConvergence(const std::function<void(v1::WatchConvergenceRequest*)>& fill) {
    v1::WatchConvergenceRequest request;
    fill(&request);
    return client_->WatchConvergence(request, absl::Seconds(20), [](const auto&) { return true; });
  }
  absl::Status WatchWindow(const std::function<void(v1::WatchWindowRequest*)>& fill) {
    v1::WatchWindowRequest request;
    fill(&request);
    return client_->WatchWindow(request, absl::Seconds(20), [](const auto&) { return true; });
  }
};

TEST_F(ContractTest, EachErrorHasCodeReasonAndField) {
  const std::string long_tag(37, 't');
  v1::ListFilesRequest first_page;
  first_page.set_page_size(1);
  const std::string file_token = client_->ListFiles(first_page)->next_page_token();
  ASSERT_NE(file_token, "");
  struct Case {
    absl::Status status;
    Code code;
    std::string reason;
    std::string field;  // of INVALID_ARGUMENT
  };
  const std::vector<Case> cases = {
      {Set([](auto* r) { r->clear_source(); }), Code::kInvalidArgument, "INVALID_FIELD", "source"},
      {Set([](auto* r) { r->set_named_policy("no"); }), Code::kInvalidArgument, "INVALID_FIELD", "named_policy"},
      {Set([](auto* r) { r->mutable_policy(); }), Code::kInvalidArgument, "INVALID_FIELD", "policy.default_outcome"},
      {Set([](auto* r) { r->mutable_update_mask()->add_paths("rules"); }), Code::kInvalidArgument, "INVALID_FIELD",
       "update_mask"},
      {Set([](auto* r) { r->set_expected_generation(5); }), Code::kAborted, "STALE_GENERATION", ""},
      {Set([](auto* r) { r->set_etag("x"); }), Code::kAborted, "STALE_ETAG", ""},
      {Set([](auto* r) {
         r->set_etag("x");
         r->set_validate_only(true);
       }),
       Code::kAborted, "STALE_ETAG", ""},
      {Set([](auto* r) {
         r->set_named_policy("no");
         r->set_validate_only(true);
       }),
       Code::kInvalidArgument, "INVALID_FIELD", "named_policy"},
      {Override([](auto* r) { r->clear_override(); }), Code::kInvalidArgument, "INVALID_FIELD", "override"},
      {Override([](auto* r) { r->mutable_override()->set_path("../a"); }), Code::kInvalidArgument, "INVALID_FIELD",
       "path"},
      {Override([](auto* r) { r->mutable_override()->set_share("nope"); }), Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {Override([](auto* r) { r->set_expected_generation(5); }), Code::kAborted, "STALE_GENERATION", ""},
      {Override([](auto* r) { r->set_etag("x"); }), Code::kAborted, "STALE_ETAG", ""},
      {Clear([](auto* r) { r->clear_share(); }), Code::kInvalidArgument, "INVALID_FIELD", "share"},
      {Clear([](auto*) {}), Code::kNotFound, "OVERRIDE_NOT_FOUND", ""},
      {Clear([](auto* r) { r->set_etag("x"); }), Code::kAborted, "STALE_ETAG", ""},
      {Explain([](auto*) {}), Code::kInvalidArgument, "INVALID_FIELD", "file"},
      {Explain([](auto* r) { r->set_node_id(0); }), Code::kInvalidArgument, "INVALID_FIELD", "node_id"},
      {Explain([](auto* r) { r->set_node_id(99); }), Code::kNotFound, "FILE_NOT_FOUND", ""},
      {Explain([](auto* r) {
         r->set_share("nope");
         r->set_node_id(2);
       }),
       Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {Files([](auto* r) { r->set_share("nope"); }), Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {Files([&](auto* r) { r->set_share(long_tag); }), Code::kInvalidArgument, "INVALID_FIELD", "share"},
      {Files([](auto* r) { r->mutable_read_mask()->add_paths("nope"); }), Code::kInvalidArgument, "INVALID_FIELD",
       "read_mask"},
      {Files([](auto* r) { r->set_page_token("nope"); }), Code::kInvalidArgument, "BAD_PAGE_TOKEN", "page_token"},
      {Files([&](auto* r) {
         r->set_page_token(file_token);
         r->set_open(true);
       }),
       Code::kInvalidArgument, "PAGE_TOKEN_OF_OTHER_CALL", "page_token"},
      {Mappings([](auto* r) { r->set_share("nope"); }), Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {Mappings([](auto* r) { r->set_node_id(2); }), Code::kInvalidArgument, "INVALID_FIELD", "share"},
      {Mappings([](auto* r) {
         r->set_share("data");
         r->set_path("nope");
       }),
       Code::kNotFound, "FILE_NOT_FOUND", ""},
      {Mappings([&](auto* r) { r->set_page_token(file_token); }), Code::kInvalidArgument, "PAGE_TOKEN_OF_OTHER_CALL",
       "page_token"},
      {client_->GetWindow("nope").status(), Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {client_->GetWindow(long_tag).status(), Code::kInvalidArgument, "INVALID_FIELD", "share"},
      {WatchConvergence([](auto* r) { r->set_share("nope"); }), Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {WatchConvergence([](auto* r) { r->mutable_interval()->set_seconds(61); }), Code::kInvalidArgument,
       "INVALID_FIELD", "interval"},
      {WatchWindow([](auto* r) { r->set_share("nope"); }), Code::kNotFound, "SHARE_NOT_FOUND", ""},
      {WatchWindow([](auto* r) { r->mutable_interval()->set_nanos(1); }), Code::kInvalidArgument, "INVALID_FIELD",
       "interval"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& one = cases[i];
    SCOPED_TRACE(testing::Message() << "case " << i << ": " << one.status);
    EXPECT_EQ(one.status.code(), one.code);
    EXPECT_EQ(ReasonOf(one.status), one.reason);
    if (one.code == Code::kInvalidArgument) {
      EXPECT_EQ(FieldOf(absl::string_view(one.status.message().data(), one.status.message().size())), one.field);
    }
  }
  EXPECT_EQ(client_->GetPolicy()->generation(), 1u) << "what is refused changes nothing";
}

TEST_F(ContractTest, AWatchedFileAndAPolicyThatKeepsChangingHaveReasons) {
  controller_.policy_changes_during_list = 1000;
  const absl::Status list = Files([](auto*) {});
  EXPECT_EQ(list.code(), Code::kAborted);
  EXPECT_EQ(ReasonOf(list), "POLICY_KEEPS_CHANGING");
  controller_.policy_changes_during_list = 0;
  controller_.WatchFile("/p");
  const absl::Status set = Set([](auto*) {});
  EXPECT_EQ(set.code(), Code::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(set), "POLICY_FILE_WATCHED");
  EXPECT_EQ(FactsOfReason(set)["file"], "/p");
  EXPECT_TRUE(Set([](auto* r) { r->set_force(true); }).ok());
}

// The whole trailer, as a client of another language gets it.
TEST_F(ContractTest, DetailsTravelInTheTrailer) {
  const auto stub =
      v1::DaxPolicyService::NewStub(grpc::CreateChannel("unix:" + Path(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::SetPolicyRequest request;
  request.set_named_policy("no");
  v1::SetPolicyResponse response;
  const grpc::Status status = stub->SetPolicy(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_details(), ToGrpc(absl::InvalidArgumentError(status.error_message())).error_details());
  EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-status-details-bin"), 1u);
}

TEST_F(ContractTest, AnEtagIsThatOfTheGenerationInForce) {
  v1::SetPolicyRequest request;
  request.set_named_policy("always");
  const std::string first = Etag();
  request.set_etag(first);
  const auto set = client_->ReplacePolicy(request);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->etag(), Etag());
  EXPECT_NE(set->etag(), first);
  EXPECT_EQ(client_->ReplacePolicy(request).status().code(), Code::kAborted) << "of a generation that has gone";
  EXPECT_TRUE(Override([&](auto* r) { r->set_etag(set->etag()); }).ok());
  EXPECT_EQ(ReasonOf(Clear([&](auto* r) { r->set_etag(set->etag()); })), "STALE_ETAG");
  EXPECT_TRUE(Clear([&](auto* r) { r->set_etag(Etag()); }).ok());
  // Another machine's, at the same generation.
  FakeController other;
  EXPECT_EQ(ReasonOf(Set([&](auto* r) { r->set_etag(other.GetPolicy().etag); })), "STALE_ETAG");
}

TEST_F(ContractTest, APartOfThePolicyIsReplaced) {
  ASSERT_TRUE(Set([](auto* r) { r->set_named_policy("size"); }).ok());
  const v1::Policy before = client_->GetPolicy()->policy();
  v1::SetPolicyRequest request;
  request.mutable_policy()->set_enforcement(v1::ENFORCEMENT_DENY);
  request.mutable_update_mask()->add_paths("enforcement");
  ASSERT_TRUE(client_->ReplacePolicy(request).ok());
  const v1::Policy after = client_->GetPolicy()->policy();
  EXPECT_EQ(after.enforcement(), v1::ENFORCEMENT_DENY);
  EXPECT_EQ(after.rules_size(), before.rules_size());
  EXPECT_EQ(after.default_outcome(), before.default_outcome());
}

TEST_F(ContractTest, AValidatedPolicyChangesNothingAndTellsItsEffect) {
  controller_.preview = {.gaining = 2, .losing = 1, .live = 3};
  for (int i = 0; i < 150; ++i) {
    controller_.preview.files.push_back({.share_tag = "data", .path = "f", .node_id = 9, .dax = true, .rule = "r"});
  }
  v1::SetPolicyRequest request;
  request.set_named_policy("always");
  request.set_validate_only(true);
  request.set_etag(Etag());
  const auto tried = client_->ReplacePolicy(request);
  ASSERT_TRUE(tried.ok()) << tried.status();
  EXPECT_EQ(tried->generation(), 1u);
  EXPECT_EQ(tried->etag(), Etag());
  EXPECT_EQ(tried->effect().gaining(), 2u);
  EXPECT_EQ(tried->effect().files_size(), 100);
  EXPECT_EQ(client_->GetPolicy()->generation(), 1u);
  EXPECT_EQ(client_->ListPolicyHistory()->entries_size(), 1);
  controller_.WatchFile("/p");
  EXPECT_EQ(client_->ReplacePolicy(request).status().code(), Code::kFailedPrecondition);
}

TEST_F(ContractTest, TheLastGenerationsAlone) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Set([](auto*) {}).ok());
  const auto two = client_->ListPolicyHistory(2);
  ASSERT_EQ(two->entries_size(), 2);
  EXPECT_EQ(two->entries(1).generation(), 5u);
  EXPECT_EQ(client_->ListPolicyHistory()->entries_size(), 5);
}

TEST_F(ContractTest, FilesComeInPagesUnderTheirConditions) {
  v1::ListFilesRequest request;
  request.set_page_size(2);
  request.set_order(v1::ListFilesRequest::ORDER_SIZE);
  auto page = client_->ListFiles(request);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->files_size(), 2);
  EXPECT_EQ(page->files(0).path(), "big.bin");
  EXPECT_EQ(page->total_size(), 3u);
  request.set_page_token(page->next_page_token());
  page = client_->ListFiles(request);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->files_size(), 1);
  EXPECT_EQ(page->files(0).path(), "main.c");
  EXPECT_EQ(page->next_page_token(), "");
  request.Clear();
  request.set_mapped(true);
  request.mutable_read_mask()->add_paths("mapped_chunks");
  page = client_->ListFiles(request);
  ASSERT_EQ(page->files_size(), 1);
  EXPECT_EQ(page->files(0).ShortDebugString(), "mapped_chunks: 3");
  EXPECT_EQ(page->total_size(), 1u);
}

TEST_F(ContractTest, MappingsComeInPagesAndByFile) {
  v1::ListMappingsRequest request;
  request.set_page_size(2);
  std::vector<uint64_t> offsets;
  do {
    const auto page = client_->ListMappings(request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->total_size(), 5u);
    for (const v1::Mapping& mapping : page->mappings()) offsets.push_back(mapping.window_offset() >> 21);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(offsets, ElementsAre(0, 1, 2, 3, 4));
  request.Clear();
  request.set_share("data");
  request.set_path("other");
  const auto of_file = client_->ListMappings(request);
  ASSERT_EQ(of_file->mappings_size(), 2);
  EXPECT_EQ(of_file->mappings(0).map_time().seconds(), 103);
  request.set_node_id(2);
  EXPECT_EQ(client_->ListMappings(request)->mappings_size(), 3);
}

TEST_F(ContractTest, AWindowTellsWhenItsGuestReclaims) {
  const v1::Window window = client_->GetWindow("data")->windows(0);
  EXPECT_EQ(window.total_chunks(), 32u);
  EXPECT_EQ(window.free_chunks(), 29u);
  EXPECT_EQ(window.reclaim_threshold_chunks(), 6u);
  EXPECT_FALSE(window.below_reclaim_threshold());
  controller_.windows[0].mapped_chunks = 27;
  EXPECT_TRUE(client_->GetWindow("data")->windows(0).below_reclaim_threshold());
}

TEST_F(ContractTest, ADeadlineThatHasPassedIsTheClientsOwnError) {
  const absl::Status status = client_->WatchWindow({}, absl::Milliseconds(300), [](const auto&) { return true; });
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded) << status;
}

}  // namespace
}  // namespace daxvmm::control
