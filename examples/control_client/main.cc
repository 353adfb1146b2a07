// A client of daxvmm's control plane, made of nothing but the contract and gRPC: shows the policy and the files that
// the guest holds, changes the policy if nobody else has meanwhile, and waits until the guest has followed.
//
//   control_client SOCKET POLICY      for instance: control_client /run/vm.sock size:1M
//
// Exit status 0 once the guest has followed, 1 if the server refused or went away, 2 for wrong usage.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace {

namespace v1 = daxvmm::v1;
using Stub = v1::DaxPolicyService::Stub;

// A call without a deadline waits for ever on a machine that stands still.
constexpr std::chrono::seconds kCall{10};
constexpr std::chrono::seconds kFollow{60};

void SetDeadline(grpc::ClientContext* context, std::chrono::seconds after) {
  context->set_deadline(std::chrono::system_clock::now() + after);
}

bool Succeeded(const char* what, const grpc::Status& status) {
  if (status.ok()) return true;
  std::fprintf(stderr, "%s: status %d: %s\n", what, status.error_code(), status.error_message().c_str());
  return false;
}

// The policy in force, and what names it in a change: its etag.
bool ShowPolicy(Stub* stub, std::string* etag) {
  grpc::ClientContext context;
  SetDeadline(&context, kCall);
  v1::GetPolicyResponse response;
  if (!Succeeded("GetPolicy", stub->GetPolicy(&context, {}, &response))) return false;
  std::printf("policy generation %llu\n", static_cast<unsigned long long>(response.generation()));
  for (const v1::Rule& rule : response.policy().rules()) {
    std::printf("  rule %s: %s\n", rule.name().c_str(), v1::Outcome_Name(rule.outcome()).c_str());
  }
  std::printf("  default: %s\n", v1::Outcome_Name(response.policy().default_outcome()).c_str());
  *etag = response.etag();
  return true;
}

// A page at a time: a guest may hold a million files.
bool ShowFiles(Stub* stub) {
  v1::ListFilesRequest request;
  request.set_page_size(500);
  do {
    grpc::ClientContext context;
    SetDeadline(&context, kCall);
    v1::ListFilesResponse response;
    if (!Succeeded("ListFiles", stub->ListFiles(&context, request, &response))) return false;
    for (const v1::LiveFile& file : response.files()) {
      // A path is UTF-8, but may hold whatever else the guest's users put into names: do not trust a terminal with it.
      std::printf("  %s:%s: %s by rule %s\n", file.share().c_str(), file.path().c_str(),
                  file.decision_dax() ? "DAX" : "no DAX", file.decision_rule().c_str());
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return true;
}

// ABORTED if another change came between the reading and this: read again then, and decide anew.
bool ChangePolicy(Stub* stub, const std::string& name, const std::string& etag) {
  grpc::ClientContext context;
  SetDeadline(&context, kCall);
  v1::SetPolicyRequest request;
  request.set_named_policy(name);
  request.set_etag(etag);
  v1::SetPolicyResponse response;
  if (!Succeeded("SetPolicy", stub->SetPolicy(&context, request, &response))) return false;
  std::printf("policy generation %llu is in force: %s\n", static_cast<unsigned long long>(response.generation()),
              response.bound().description().c_str());
  return true;
}

// The server ends the stream once nothing is left to wait for.
bool AwaitGuest(Stub* stub) {
  grpc::ClientContext context;
  SetDeadline(&context, kFollow);
  v1::WatchConvergenceRequest request;
  request.set_until_settled(true);
  const auto stream = stub->WatchConvergence(&context, request);
  v1::WatchConvergenceResponse counts;
  while (stream->Read(&counts)) {
    std::printf("%llu converged, %llu on next use, %llu to come\n", static_cast<unsigned long long>(counts.converged()),
                static_cast<unsigned long long>(counts.changes_on_next_use()),
                static_cast<unsigned long long>(counts.attributes_cached() + counts.noticed_held_open() +
                                                counts.noticed_still_held() + counts.unknown()));
  }
  return Succeeded("WatchConvergence", stream->Finish());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "Usage: control_client SOCKET POLICY\n");
    return 2;
  }
  const auto channel = grpc::CreateChannel(std::string("unix:") + argv[1], grpc::InsecureChannelCredentials());
  const std::unique_ptr<Stub> stub = v1::DaxPolicyService::NewStub(channel);
  std::string etag;
  const bool done = ShowPolicy(stub.get(), &etag) && ShowFiles(stub.get()) && ChangePolicy(stub.get(), argv[2], etag) &&
                    AwaitGuest(stub.get());
  return done ? 0 : 1;
}
