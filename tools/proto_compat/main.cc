// Compares the contract that was built with the one that clients have been promised, and writes the latter.
//
//   proto_compat check|update|force BASELINE DESCRIPTOR_SET...
//
// check: status 1 if something breaks, or BASELINE is not what was built. update: writes BASELINE, unless something
// breaks. force: writes it all the same, and says what breaks.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>

#include "tools/proto_compat/baseline.h"
#include "tools/proto_compat/compat.h"

namespace daxvmm::proto_compat {
namespace {

std::optional<std::string> Read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

int Fail(const char* path, const std::string& why) {
  fprintf(stderr, "proto_compat: %s: %s\n", path, why.c_str());
  return 2;
}

int Run(const std::string& verb, const char* baseline_path, std::span<const char* const> built_paths) {
  google::protobuf::FileDescriptorSet built;
  for (const char* path : built_paths) {
    const std::optional<std::string> bytes = Read(path);
    if (!bytes) return Fail(path, "cannot be read");
    const auto one = ParseDescriptorSet(*bytes);
    if (!one.ok()) return Fail(path, std::string(one.status().message()));
    built.MergeFrom(*one);
  }
  // The first baseline has none before it.
  const std::string text = Read(baseline_path).value_or("");
  const auto baseline = ParseBaseline(text);
  if (!baseline.ok()) return Fail(baseline_path, std::string(baseline.status().message()));

  const auto changes = BreakingChanges(*baseline, built);
  for (const std::string& change : changes) fprintf(stderr, "breaks clients: %s\n", change.c_str());
  if (!changes.empty() && verb != "force") return 1;
  const std::string wanted = FormatBaseline(built);
  if (wanted == text) return 0;
  if (verb == "check") {
    fprintf(stderr, "%s is not what was built\n", baseline_path);
    return 1;
  }
  std::ofstream file(baseline_path, std::ios::binary);
  file << wanted;
  file.close();
  return file ? 0 : Fail(baseline_path, "cannot be written");
}

}  // namespace
}  // namespace daxvmm::proto_compat

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (argc < 4 || (verb != "check" && verb != "update" && verb != "force")) {
    fputs("Usage: proto_compat check|update|force BASELINE DESCRIPTOR_SET...\n", stderr);
    return 2;
  }
  return daxvmm::proto_compat::Run(verb, argv[2], std::span(argv + 3, argv + argc));
}
