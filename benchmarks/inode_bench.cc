// What the inodes that a guest knows cost: bytes of memory and descriptors each, and the time of a LOOKUP with its
// FORGET and of a GETATTR, for inodes held by descriptor and for such that are held by file handle.
//
// inode_bench DIRECTORY [INODES [MAX_DESCRIPTORS]]: makes that many empty files below DIRECTORY, and removes them.
// For root: file handles need CAP_DAC_READ_SEARCH.
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"

namespace daxvmm::fs {
namespace {

constexpr fuse::RequestContext kCaller{.unique = 2};
constexpr uint64_t kPerDirectory = 1000;
// Few enough to have descriptors.
constexpr uint64_t kFew = 1000;

uint64_t ResidentBytes() {
  unsigned long total = 0, resident = 0;
  FILE* const file = fopen("/proc/self/statm", "re");
  if (file == nullptr || fscanf(file, "%lu %lu", &total, &resident) != 2) abort();
  fclose(file);
  return uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t OpenDescriptors() {
  uint64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count - 1;  // the iterator's own
}

// What the heap takes for a copy of the name.
uint64_t HeapBytes(const std::string& name) {
  const auto copy = std::make_unique<char[]>(name.size() + 1);
  return malloc_usable_size(copy.get()) + sizeof(size_t);
}

std::string DirectoryName(uint64_t i) { return absl::StrCat("d", i / kPerDirectory); }
std::string FileName(uint64_t i) { return absl::StrCat("f", i); }

NodeId Look(PassthroughFs& fs, NodeId parent, const std::string& name) {
  const auto entry = fs.Lookup(kCaller, parent, name);
  if (!entry.ok()) {
    fprintf(stderr, "LOOKUP %s: error %d\n", name.c_str(), entry.error().value());
    exit(1);
  }
  return NodeId(entry->nodeid);
}

template <typename F>
void PrintTime(const char* what, uint64_t times, F each) {
  for (uint64_t i = 0; i < kFew; ++i) each(i);  // those of a few are held by descriptor then
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < times; ++i) each(i);
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  printf("%-40s %8.2f us\n", what, took.count() / static_cast<double>(times));
}

int Run(const std::string& base, uint64_t inodes, uint64_t max_descriptors) {
  std::string dir = base + "/inode_bench.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) {
    perror(base.c_str());
    return 1;
  }
  for (uint64_t i = 0; i < inodes; ++i) {
    const std::string parent = dir + "/" + DirectoryName(i);
    if (i % kPerDirectory == 0) mkdir(parent.c_str(), 0755);
    const UniqueFd fd(open((parent + "/" + FileName(i)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (!fd.valid()) {
      perror(parent.c_str());
      return 1;
    }
  }
  auto created =
      PassthroughFs::Create({.path = dir, .max_nodes = 2 * inodes + 2, .max_descriptors = max_descriptors}, nullptr);
  if (!created.ok()) {
    fprintf(stderr, "%s\n", created.status().ToString().c_str());
    return 1;
  }
  PassthroughFs& fs = **created;
  std::vector<NodeId> parents((inodes + kPerDirectory - 1) / kPerDirectory);
  for (uint64_t i = 0; i < parents.size(); ++i) parents[i] = Look(fs, kRootNode, DirectoryName(i * kPerDirectory));
  std::vector<NodeId> nodes(inodes);
  const uint64_t descriptors_before = OpenDescriptors() - fs.descriptor_count();
  uint64_t name_bytes = 0;
  for (uint64_t i = 0; i < inodes; ++i) name_bytes += HeapBytes(FileName(i));
  const uint64_t before = ResidentBytes();
  for (uint64_t i = 0; i < inodes; ++i) nodes[i] = Look(fs, parents[i / kPerDirectory], FileName(i));
  const uint64_t bytes = ResidentBytes() - before;
  printf("%-40s %8lu\n", "inodes", static_cast<unsigned long>(fs.node_count()));
  printf("%-40s %8lu\n", "descriptors", static_cast<unsigned long>(OpenDescriptors() - descriptors_before));
  const auto per_inode = [&](uint64_t n) { return static_cast<double>(n) / static_cast<double>(inodes); };
  printf("%-40s %8.1f\n", "bytes per inode, with its name", per_inode(bytes));
  printf("%-40s %8.1f\n", "bytes per inode, without its name", per_inode(bytes - name_bytes));

  const auto look = [&](uint64_t i) { fs.Forget(Look(fs, parents[i / kPerDirectory], FileName(i)), 1); };
  const auto get = [&](uint64_t i) {
    if (!fs.GetAttr(kCaller, nodes[i], std::nullopt).ok()) abort();
  };
  const uint64_t few = std::min(kFew, inodes);
  PrintTime("LOOKUP and FORGET, held by descriptor", inodes, [&](uint64_t i) { look(i % few); });
  PrintTime("LOOKUP and FORGET, held by handle", inodes, [&](uint64_t i) { look(i % inodes); });
  PrintTime("GETATTR, held by descriptor", inodes, [&](uint64_t i) { get(i % few); });
  PrintTime("GETATTR, held by handle", inodes, [&](uint64_t i) { get(i % inodes); });
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace daxvmm::fs

int main(int argc, char** argv) {
  uint64_t inodes = 1'000'000, max_descriptors = 4096;
  if (argc < 2 || argc > 4 || (argc > 2 && (!absl::SimpleAtoi(argv[2], &inodes) || inodes == 0)) ||
      (argc > 3 && !absl::SimpleAtoi(argv[3], &max_descriptors))) {
    fprintf(stderr, "inode_bench DIRECTORY [INODES [MAX_DESCRIPTORS]]\n");
    return 2;
  }
  return daxvmm::fs::Run(argv[1], inodes, max_descriptors);
}
