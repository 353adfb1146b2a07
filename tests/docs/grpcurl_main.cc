// Understands so much of the command line of grpcurl, which Debian 12 does not have, that what the documents do with it
// can be tried:
//
//   grpcurl -plaintext -unix SOCKET list
//   grpcurl -plaintext -unix SOCKET describe SYMBOL
//   grpcurl -plaintext -unix [-d JSON] SOCKET SERVICE/METHOD
//
// Exit status 0 if the call was OK, 64 and the status's code otherwise, 2 for wrong usage.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/docs/reflected_server.h"

namespace daxvmm::docs_test {
namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "ERROR:\n  Code: %s\n  Message: %s\n", absl::StatusCodeToString(status.code()).c_str(),
               std::string(status.message()).c_str());
  return 64 + static_cast<int>(status.code());
}

int List(ReflectedServer* server) {
  const auto services = server->Services();
  if (!services.ok()) return Fail(services.status());
  for (const std::string& service : *services) std::printf("%s\n", service.c_str());
  return 0;
}

int Describe(ReflectedServer* server, const std::string& symbol) {
  const auto text = server->Describe(symbol);
  if (!text.ok()) return Fail(text.status());
  std::printf("%s", text->c_str());
  return 0;
}

int Run(const std::vector<std::string>& arguments) {
  std::string data;
  std::vector<std::string> words;
  bool plaintext = false;
  bool unix = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "-d" && i + 1 < arguments.size()) {
      data = arguments[++i];
    } else if (arguments[i] == "-plaintext") {
      plaintext = true;
    } else if (arguments[i] == "-unix") {
      unix = true;
    } else if (arguments[i].substr(0, 1) == "-") {
      std::fprintf(stderr, "%s: this is not the true grpcurl, and does not know that\n", arguments[i].c_str());
      return 2;
    } else {
      words.push_back(arguments[i]);
    }
  }
  if (!plaintext || !unix || words.size() < 2) {
    std::fprintf(stderr, "Usage: grpcurl -plaintext -unix [-d JSON] SOCKET list|describe SYMBOL|SERVICE/METHOD\n");
    return 2;
  }
  ReflectedServer server(grpc::CreateChannel(absl::StrCat("unix:", words[0]), grpc::InsecureChannelCredentials()));
  if (words[1] == "list") return List(&server);
  if (words[1] == "describe" && words.size() == 3) return Describe(&server, words[2]);
  const absl::Status called = server.Call(words[1], data, [](const std::string& json) {
    std::printf("%s", json.c_str());
    std::fflush(stdout);
  });
  return called.ok() ? 0 : Fail(called);
}

}  // namespace
}  // namespace daxvmm::docs_test

int main(int argc, char** argv) { return daxvmm::docs_test::Run({argv + 1, argv + argc}); }
