// A gRPC server as a program sees it that knows nothing of it but its address: by reflection.
#ifndef DAXVMM_TESTS_DOCS_REFLECTED_SERVER_H_
#define DAXVMM_TESTS_DOCS_REFLECTED_SERVER_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace daxvmm::docs_test {

class ReflectedServer {
 public:
  explicit ReflectedServer(std::shared_ptr<grpc::Channel> channel);

  // Full names, sorted.
  absl::StatusOr<std::vector<std::string>> Services();
  // A service, method, message or enum as .proto text.
  absl::StatusOr<std::string> Describe(const std::string& symbol);
  // `method` is "package.Service/Method", `request` JSON (empty: a message without fields). `response` gets each answer
  // as JSON. The status is the server's, or INVALID_ARGUMENT for a request that is none.
  absl::Status Call(const std::string& method, const std::string& request,
                    const std::function<void(const std::string&)>& response);

 private:
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;

  absl::StatusOr<Response> Ask(const Request& request);
  // Gets the file that defines it into the pool, with all that it imports.
  absl::Status Load(const std::string& symbol);

  std::unique_ptr<grpc::reflection::v1alpha::ServerReflection::Stub> reflection_;
  grpc::GenericStub stub_;
  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory messages_;
};

}  // namespace daxvmm::docs_test

#endif  // DAXVMM_TESTS_DOCS_REFLECTED_SERVER_H_
