#include "control/grpc_status.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/rpc/status.pb.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

rpc::Status DetailsOf(const grpc::Status& status) {
  rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

TEST(GrpcStatus, CarriesReasonAndFacts) {
  const grpc::Status status =
      ToGrpc(WithReason(absl::AbortedError("etag: stale"), "STALE_ETAG", {{"generation", "7"}, {"etag", "e"}}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "etag: stale");
  const rpc::Status details = DetailsOf(status);
  EXPECT_EQ(details.code(), 10);
  EXPECT_EQ(details.message(), "etag: stale");
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  rpc::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(details.details(0).value()));
  EXPECT_EQ(info.reason(), "STALE_ETAG");
  EXPECT_EQ(info.domain(), "daxvmm");
  EXPECT_THAT(info.metadata(), UnorderedElementsAre(Pair("generation", "7"), Pair("etag", "e")));
}

TEST(GrpcStatus, ABadFieldIsAViolation) {
  const rpc::Status details = DetailsOf(ToGrpc(absl::InvalidArgumentError("policy.rules[2].outcome: needed: one")));
  ASSERT_EQ(details.details_size(), 2);
  EXPECT_EQ(details.details(1).type_url(), "type.googleapis.com/google.rpc.BadRequest");
  rpc::BadRequest bad;
  ASSERT_TRUE(bad.ParseFromString(details.details(1).value()));
  ASSERT_EQ(bad.field_violations_size(), 1);
  EXPECT_EQ(bad.field_violations(0).field(), "policy.rules[2].outcome");
  EXPECT_EQ(bad.field_violations(0).description(), "needed: one");
}

TEST(GrpcStatus, WhatIsAField) {
  EXPECT_EQ(FieldOf("share: missing"), "share");
  EXPECT_EQ(FieldOf("states[3]: no"), "states[3]");
  EXPECT_EQ(FieldOf("a_b.c1: no"), "a_b.c1");
  for (const char* text : {"", "share", "share:no", ": no", "two words: no", "Upper: no", "/path: no", "9: no"}) {
    EXPECT_EQ(FieldOf(text), "") << text;
  }
}

// The wire form, byte for byte, as google/rpc/status.proto and error_details.proto have it: field numbers and types are
// what other clients go by.
TEST(GrpcStatus, IsGoogleRpcOnTheWire) {
  const std::string info = std::string(
      "\x0a\x01R\x12\x06"
      "daxvmm"
      "\x1a\x06\x0a\x01k\x12\x01v",
      19);
  const std::string type = "type.googleapis.com/google.rpc.ErrorInfo";
  std::string any =
      std::string("\x0a", 1) + static_cast<char>(type.size()) + type + "\x12" + static_cast<char>(info.size()) + info;
  const std::string wire = std::string("\x08\x05\x12\x01t\x1a", 6) + static_cast<char>(any.size()) + any;
  EXPECT_EQ(ToGrpc(WithReason(absl::NotFoundError("t"), "R", {{"k", "v"}})).error_details(), wire);
  rpc::BadRequest bad;
  bad.add_field_violations()->set_field("f");
  bad.mutable_field_violations(0)->set_description("d");
  EXPECT_EQ(bad.SerializeAsString(), std::string("\x0a\x06\x0a\x01"
                                                 "f"
                                                 "\x12\x01"
                                                 "d",
                                                 8));
}

TEST(GrpcStatus, EveryErrorHasAReason) {
  for (int code = 1; code <= 16; ++code) {
    rpc::ErrorInfo info;
    const rpc::Status details = DetailsOf(ToGrpc(absl::Status(static_cast<absl::StatusCode>(code), "x")));
    ASSERT_GE(details.details_size(), 1);
    ASSERT_TRUE(info.ParseFromString(details.details(0).value()));
    EXPECT_NE(info.reason(), "") << code;
  }
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
}

// Trailers above 8 KiB would be refused by gRPC, and the error with them.
TEST(GrpcStatus, FitsIntoTheTrailersWhateverTheText) {
  ReasonFacts facts;
  for (int i = 0; i < 100; ++i) facts["key" + std::to_string(i)] = std::string(10000, '\xff');
  const grpc::Status status =
      ToGrpc(WithReason(absl::InvalidArgumentError("field: " + std::string(100000, '\xff')), "R", facts));
  EXPECT_LT(status.error_message().size() + status.error_details().size() * 4 / 3, 8000u)
      << status.error_message().size() << " " << status.error_details().size();
}

TEST(GrpcStatus, ComesBackAsItWent) {
  const absl::Status sent = WithReason(absl::AbortedError("text"), "STALE_ETAG", {{"etag", "e"}});
  const absl::Status back = FromGrpc(ToGrpc(sent));
  EXPECT_EQ(back.code(), sent.code());
  EXPECT_EQ(std::string(back.message()), "text");
  EXPECT_EQ(ReasonOf(back), "STALE_ETAG");
  EXPECT_THAT(FactsOfReason(back), ElementsAre(Pair("etag", "e")));
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  // gRPC's own errors have no details, and others' may be anything.
  EXPECT_EQ(ReasonOf(FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x"))), "");
  EXPECT_EQ(ReasonOf(FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x", "\xff\xff"))), "");
}

}  // namespace
}  // namespace daxvmm::control
