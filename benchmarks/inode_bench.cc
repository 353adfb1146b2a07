// What the inodes that a guest knows cost: bytes of memory and descriptors each, and the time of a LOOKUP with its
// FORGET and of a GETATTR, for inodes held by descriptor and for such that are held by file handle. Then what a change
// of the policy costs while they are held: how long it takes to set, what it does to the requests beside it, and how
// long it takes to count how far the guest has followed. Each inode is decided upon and recorded, as in the device.
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
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "control/file_query.h"
#include "devices/virtio_fs/dax/inode_states.h"
#include "devices/virtio_fs/dax/policy_store.h"
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

using Microseconds = std::chrono::duration<double, std::micro>;

template <typename F>
double MicrosecondsOf(F f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return Microseconds(std::chrono::steady_clock::now() - start).count();
}

// Prints the median, the 99th percentile and the largest of `samples`.
void PrintSpread(const char* what, std::vector<double> samples) {
  std::ranges::sort(samples);
  const auto at = [&](double part) {
    return samples[static_cast<size_t>(part * static_cast<double>(samples.size() - 1))];
  };
  printf("%-40s %8.2f us, p99 %.2f us, most %.2f us\n", what, at(0.5), at(0.99), samples.back());
}

// Rules of which no two changes in a row say the same of any file.
dax::Policy Always(bool dax) {
  return {.rules = {}, .default_outcome = dax ? dax::Outcome::kDax : dax::Outcome::kNoDax};
}

void MeasureFlips(PassthroughFs& fs, dax::InodeStates& states, dax::PolicyStore& store,
                  const std::function<void(uint64_t)>& look) {
  constexpr uint64_t kRequests = 200'000;
  const auto requests = [&] {
    std::vector<double> took;
    took.reserve(kRequests);
    for (uint64_t i = 0; i < kRequests; ++i) took.push_back(MicrosecondsOf([&] { look(i); }));
    return took;
  };
  PrintSpread("LOOKUP and FORGET, policy at rest", requests());

  std::atomic<bool> done{false};
  std::vector<double> sets;
  std::thread operator_thread([&] {
    for (bool dax = true; !done.load(std::memory_order_relaxed); dax = !dax) {
      sets.push_back(MicrosecondsOf([&] {
        if (!store.Set(Always(dax)).ok()) abort();
      }));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // 1,000 changes a second, no more
    }
  });
  const std::vector<double> beside = requests();
  done = true;
  operator_thread.join();
  PrintSpread("LOOKUP and FORGET, 1,000 changes a second", beside);
  PrintSpread("a change of the policy", std::move(sets));

  dax::ConvergenceCounts counts;
  const double count = MicrosecondsOf([&] {
    fs.VisitLiveFiles([&](Inode& inode) {
      const auto path = [&] { return fs.PathOf(inode); };
      counts.Add(states.StateOf(inode.ForObserver(), {.path = path}, false));
    });
  });
  printf("%-40s %8.1f ms\n", "counting who has followed", count / 1000);
  printf("%-40s %8lu\n", "  converged", static_cast<unsigned long>(counts.converged));
  printf("%-40s %8lu\n", "  changing on next use, or soon",
         static_cast<unsigned long>(counts.changes_on_next_use + counts.attributes_cached));
}

// As Machine::QueryFiles goes through all live files for one page of them, without the look at the page's own.
void MeasurePage(const char* what, PassthroughFs& fs, const dax::InodeStates& states, const control::FileQuery& query) {
  control::FileSelector selector(query);
  const double took = MicrosecondsOf([&] {
    fs.VisitLiveFiles([&](Inode& inode) {
      const auto path = [&] { return fs.PathOf(inode); };
      const auto shown = [&] { return fs.ShownPathOf(inode); };
      const dax::InodeGlance glance = states.Glance(inode.ForObserver(), {.path = path}, false);
      selector.Look({.share_tag = "bench",
                     .node_id = inode.id().raw(),
                     .decision_dax = glance.dax,
                     .convergence = glance.convergence.what,
                     .size = glance.size.raw(),
                     .path = shown});
    });
  });
  printf("%-40s %8.1f ms, %zu of %lu\n", what, took / 1000, selector.Take().size(),
         static_cast<unsigned long>(selector.total()));
}

void MeasureLists(PassthroughFs& fs, const dax::InodeStates& states, const dax::PolicyStore& store) {
  MeasurePage("a page of 1,000 by path", fs, states, {.limit = 1000});
  MeasurePage("a page of 10,000 by path", fs, states, {.limit = 10000});
  MeasurePage("a page of 1,000 by size", fs, states, {.order = control::FileQuery::Order::kSize, .limit = 1000});
  MeasurePage("a page of 1,000 that are DAX, of none", fs, states, {.decision_dax = true, .open = true});
  const auto other = store.WouldSet(Always(store.Get()->compiled->policy().default_outcome != dax::Outcome::kDax), {});
  if (!other.ok()) abort();
  uint64_t changed = 0;
  const double took = MicrosecondsOf([&] {
    fs.VisitLiveFiles([&](Inode& inode) {
      const auto path = [&] { return fs.PathOf(inode); };
      const auto capability = [&] { return fs.HasSecurityCapability(inode.id()).value_or(false); };
      const dax::PolicyComparison comparison =
          states.Compare(**other, inode.ForObserver(), {.path = path, .security_capability = capability});
      if (comparison.dax != comparison.would_be_dax) ++changed;
    });
  });
  printf("%-40s %8.1f ms, %lu files\n", "what another policy would change", took / 1000,
         static_cast<unsigned long>(changed));
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
  dax::PolicyStore store(Always(false));
  dax::InodeStates states({.share_tag = "bench"}, &store);
  states.SessionStarted(dax::SessionMode::kPerFile);
  auto created =
      PassthroughFs::Create({.path = dir, .max_nodes = 2 * inodes + 2, .max_descriptors = max_descriptors}, &states);
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
  MeasureFlips(fs, states, store, [&](uint64_t i) { look(i % few); });
  MeasureLists(fs, states, store);
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
