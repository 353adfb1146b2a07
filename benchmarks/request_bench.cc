// What the dispatcher itself costs a request: decoding, the look-up of its row, the session's lock, counting, the
// reply. The file system behind it answers at once.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>

#include "base/log.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/fake_file_system.h"
#include "devices/virtio_fs/fuse/test_request.h"

namespace daxvmm::fuse {
namespace {

class AnswersAtOnce final : public FakeFileSystem {
 public:
  Errno Access(const RequestContext& ctx, NodeId node, uint32_t mask) override { return kOk; }
};

struct Server {
  AnswersAtOnce fs;
  Dispatcher dispatcher{SessionOptions{}, &fs, nullptr, nullptr};
  Server() { CHECK(SendInit(&dispatcher).error() == 0); }
};

Server& TheServer() {
  static Server* const server = new Server();
  return *server;
}

struct Buffers {
  std::string request = MakeRequest(FUSE_ACCESS, 1, ValidBody(FUSE_ACCESS));
  std::string reply = std::string(64, '\0');
  memory::IoVecs in, out;
  Buffers() {
    in.iov = {{request.data(), request.size()}};
    out.iov = {{reply.data(), reply.size()}};
  }
};

// As a queue's worker does it, while requests wait: one look at the clock, when the request is done.
void BM_Request(benchmark::State& state) {
  Server& server = TheServer();
  Buffers buffers;
  RequestCounts* const counts = server.dispatcher.AddCounts();
  auto now = std::chrono::steady_clock::now();
  for (auto _ : state) {
    counts->Begun(now);
    benchmark::DoNotOptimize(
        server.dispatcher.Handle(buffers.in, buffers.out, std::chrono::steady_clock::time_point::max(), counts));
    now = std::chrono::steady_clock::now();
    counts->Answered(now, 0);
  }
}
BENCHMARK(BM_Request)->Threads(1)->Threads(2)->UseRealTime();

// The same with nobody who counts.
void BM_UncountedRequest(benchmark::State& state) {
  Server& server = TheServer();
  Buffers buffers;
  for (auto _ : state) {
    benchmark::DoNotOptimize(server.dispatcher.Handle(buffers.in, buffers.out));
    benchmark::DoNotOptimize(std::chrono::steady_clock::now());
  }
}
BENCHMARK(BM_UncountedRequest)->Threads(1)->Threads(2)->UseRealTime();

// As BM_UncountedRequest, with counters that all threads share.
void BM_SharedCounters(benchmark::State& state) {
  static std::atomic<uint64_t> counts[64];
  Server& server = TheServer();
  Buffers buffers;
  for (auto _ : state) {
    counts[FUSE_ACCESS].fetch_add(1, std::memory_order_relaxed);
    benchmark::DoNotOptimize(server.dispatcher.Handle(buffers.in, buffers.out));
    benchmark::DoNotOptimize(std::chrono::steady_clock::now());
  }
}
BENCHMARK(BM_SharedCounters)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace daxvmm::fuse

BENCHMARK_MAIN();
