#include "tests/docs/reflected_server.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace daxvmm::docs_test {
namespace {

constexpr std::chrono::seconds kDeadline{30};

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

absl::StatusOr<std::string> ToJson(const grpc::ByteBuffer& bytes, google::protobuf::Message* message) {
  grpc::ByteBuffer copy = bytes;
  grpc::ProtoBufferReader reader(&copy);
  if (!message->ParseFromZeroCopyStream(&reader)) return absl::DataLossError("a response is none of its type");
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  const auto written = google::protobuf::util::MessageToJsonString(*message, &json, options);
  if (!written.ok()) return absl::DataLossError(std::string(written.message()));
  return json;
}

}  // namespace

ReflectedServer::ReflectedServer(std::shared_ptr<grpc::Channel> channel)
    : reflection_(grpc::reflection::v1alpha::ServerReflection::NewStub(channel)), stub_(channel), messages_(&pool_) {}

absl::StatusOr<ReflectedServer::Response> ReflectedServer::Ask(const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  const auto stream = reflection_->ServerReflectionInfo(&context);
  Response response;
  const bool answered = stream->Write(request) && stream->WritesDone() && stream->Read(&response);
  const grpc::Status status = stream->Finish();
  if (!answered) return FromGrpc(status);
  if (response.has_error_response()) {
    return absl::Status(static_cast<absl::StatusCode>(response.error_response().error_code()),
                        response.error_response().error_message());
  }
  return response;
}

absl::StatusOr<std::vector<std::string>> ReflectedServer::Services() {
  Request request;
  request.set_list_services("*");
  ASSIGN_OR_RETURN(const Response response, Ask(request));
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) names.push_back(service.name());
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status ReflectedServer::Load(const std::string& symbol) {
  Request request;
  request.set_file_containing_symbol(symbol);
  ASSIGN_OR_RETURN(const Response response, Ask(request));
  std::map<std::string, google::protobuf::FileDescriptorProto> files;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    if (!file.ParseFromString(bytes)) return absl::DataLossError("a file descriptor is none");
    files[file.name()] = file;
  }
  // What a file imports has to be there before it.
  const std::function<bool(const std::string&)> build = [&](const std::string& name) {
    if (pool_.FindFileByName(name) != nullptr) return true;
    const auto found = files.find(name);
    if (found == files.end()) return false;
    const google::protobuf::FileDescriptorProto file = found->second;
    files.erase(found);  // a circle of imports ends here
    return std::all_of(file.dependency().begin(), file.dependency().end(), build) && pool_.BuildFile(file) != nullptr;
  };
  std::vector<std::string> names;
  for (const auto& [name, file] : files) names.push_back(name);
  for (const std::string& name : names) {
    if (!build(name)) return absl::DataLossError(absl::StrCat(name, ": it, or what it imports, is not usable"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReflectedServer::Describe(const std::string& symbol) {
  RETURN_IF_ERROR(Load(symbol));
  if (const auto* service = pool_.FindServiceByName(symbol)) return service->DebugString();
  if (const auto* method = pool_.FindMethodByName(symbol)) return method->DebugString();
  if (const auto* message = pool_.FindMessageTypeByName(symbol)) return message->DebugString();
  if (const auto* one = pool_.FindEnumTypeByName(symbol)) return one->DebugString();
  return absl::NotFoundError(symbol);
}

absl::Status ReflectedServer::Call(const std::string& method, const std::string& request,
                                   const std::function<void(const std::string&)>& response) {
  const size_t slash = method.find('/');
  if (slash == std::string::npos) return absl::InvalidArgumentError(absl::StrCat(method, ": not SERVICE/METHOD"));
  const std::string service_name = method.substr(0, slash);
  RETURN_IF_ERROR(Load(service_name));
  const auto* const service = pool_.FindServiceByName(service_name);
  const auto* const found = service == nullptr ? nullptr : service->FindMethodByName(method.substr(slash + 1));
  if (found == nullptr) return absl::NotFoundError(method);
  const std::unique_ptr<google::protobuf::Message> input(messages_.GetPrototype(found->input_type())->New());
  const std::unique_ptr<google::protobuf::Message> output(messages_.GetPrototype(found->output_type())->New());
  const auto read = google::protobuf::util::JsonStringToMessage(request.empty() ? "{}" : request, input.get());
  if (!read.ok()) return absl::InvalidArgumentError(std::string(read.message()));

  const std::string bytes = input->SerializeAsString();
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer buffer(&slice, 1);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  grpc::CompletionQueue queue;
  const auto stream = stub_.PrepareCall(&context, absl::StrCat("/", service_name, "/", found->name()), &queue);
  // One operation after the other, on this thread; false: it failed, and Finish says why.
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  stream->StartCall(nullptr);
  if (wait()) {
    stream->WriteLast(buffer, grpc::WriteOptions(), nullptr);
    wait();
  }
  absl::Status broken;
  for (grpc::ByteBuffer answer;; answer.Clear()) {
    stream->Read(&answer, nullptr);
    if (!wait()) break;
    const absl::StatusOr<std::string> json = ToJson(answer, output.get());
    if (json.ok()) response(*json);
    if (!json.ok() && broken.ok()) broken = json.status();
  }
  grpc::Status status;
  stream->Finish(&status, nullptr);
  wait();
  return broken.ok() ? FromGrpc(status) : broken;
}

}  // namespace daxvmm::docs_test
