#include "tools/policy_lab/workloads.h"

#include <algorithm>
#include <numeric>

namespace daxvmm::lab {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;
constexpr Nanos kUs = 1000;
constexpr Nanos kMs = 1000 * kUs;

// splitmix64: standard distributions differ between libraries.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return Next() % n; }
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  bool Percent(uint64_t p) { return Below(100) < p; }
  // Low to high, each doubling as likely as the next.
  uint64_t Size(uint64_t low, uint64_t high) {
    uint64_t doublings = 0;
    while (low << (doublings + 1) <= high) ++doublings;
    const uint64_t base = low << Below(doublings + 1);
    return std::min(high, base + Below(base));
  }

 private:
  uint64_t state_;
};

// Item k of n in proportion to 1/(k+1), the items shuffled.
class Zipf {
 public:
  Zipf(size_t n, Random* random) : order_(n), sums_(n) {
    std::iota(order_.begin(), order_.end(), 0);
    for (size_t i = n; i > 1; --i) std::swap(order_[i - 1], order_[random->Below(i)]);
    uint64_t sum = 0;
    for (size_t k = 0; k < n; ++k) sums_[k] = sum += 1'000'000'000 / (k + 1);
  }
  size_t Pick(Random* random) const {
    const uint64_t at = random->Below(sums_.back());
    return order_[static_cast<size_t>(std::ranges::upper_bound(sums_, at) - sums_.begin())];
  }

 private:
  std::vector<size_t> order_;
  std::vector<uint64_t> sums_;
};

// One activity of a guest; each step is a few operations.
class Program {
 public:
  virtual ~Program() = default;
  virtual void Step(Trace* trace, Random* random) = 0;
};

void ReadWhole(Trace* trace, FileId file) {
  trace->Open(file);
  const uint64_t size = trace->files[file].size;
  for (uint64_t at = 0; at < size; at += kMiB) trace->Read(file, at, std::min(kMiB, size - at));
  trace->Close(file);
}

class ZipfFiles final : public Program {
 public:
  ZipfFiles(size_t small, size_t large, Trace* trace, Random* random) : zipf_(small + large, random) {
    for (size_t i = 0; i < small; ++i) files_.push_back(trace->AddFile(random->Size(kKiB, 28 * kKiB)));
    for (size_t i = 0; i < large; ++i) files_.push_back(trace->AddFile(random->Size(64 * kKiB, 8 * kMiB)));
  }
  void Step(Trace* trace, Random* random) override {
    const FileId file = files_[zipf_.Pick(random)];
    const uint64_t size = trace->files[file].size;
    if (size < 64 * kKiB || random->Percent(50)) {
      ReadWhole(trace, file);
      return;
    }
    trace->Open(file);
    for (int i = 0; i < 8; ++i) trace->Read(file, random->Below(size / kPage) * kPage, kPage);
    trace->Close(file);
  }

 private:
  Zipf zipf_;
  std::vector<FileId> files_;
};

class Stream final : public Program {
 public:
  explicit Stream(uint64_t size) : size_(size) {}
  void Step(Trace* trace, Random*) override { ReadWhole(trace, trace->AddFile(size_)); }

 private:
  const uint64_t size_;
};

class HotSet final : public Program {
 public:
  HotSet(size_t count, uint64_t size, Trace* trace) {
    for (size_t i = 0; i < count; ++i) files_.push_back(trace->AddFile(size));
  }
  void Step(Trace* trace, Random*) override { ReadWhole(trace, files_[next_++ % files_.size()]); }

 private:
  std::vector<FileId> files_;
  size_t next_ = 0;
};

class Libraries final : public Program {
 public:
  Libraries(size_t count, Trace* trace, Random* random) : zipf_(count, random) {
    for (size_t i = 0; i < count; ++i) {
      const uint64_t size = random->Size(128 * kKiB, 8 * kMiB);
      Library library{trace->AddFile(size), {}};
      // What programs use of it: a third, the same each time.
      for (uint64_t at = 0; at < size; at += 64 * kKiB) {
        if (random->Percent(33)) library.used.push_back(at);
      }
      libraries_.push_back(std::move(library));
    }
  }
  void Step(Trace* trace, Random* random) override {
    std::vector<FileId> mapped;
    for (int i = 0; i < 8; ++i) {
      const Library& library = libraries_[zipf_.Pick(random)];
      mapped.push_back(library.file);
      trace->Open(library.file);
      for (const uint64_t at : library.used) {
        if (random->Percent(60)) trace->Touch(library.file, at, 16 * kKiB);
      }
    }
    for (const FileId file : mapped) trace->Close(file);
  }

 private:
  struct Library {
    FileId file;
    std::vector<uint64_t> used;
  };
  Zipf zipf_;
  std::vector<Library> libraries_;
};

class Database final : public Program {
 public:
  Database(size_t count, uint64_t size, Trace* trace) : size_(size) {
    for (size_t i = 0; i < count; ++i) files_.push_back(trace->AddFile(size));
    for (const FileId file : files_) trace->Open(file);
  }
  void Step(Trace* trace, Random* random) override {
    for (int i = 0; i < 20; ++i) {
      const FileId file = files_[random->Below(files_.size())];
      const uint64_t at = random->Below(size_ / (8 * kKiB)) * 8 * kKiB;
      if (random->Percent(30)) {
        trace->Write(file, at, 8 * kKiB);
      } else {
        trace->Read(file, at, 8 * kKiB);
      }
    }
  }

 private:
  const uint64_t size_;
  std::vector<FileId> files_;
};

class Build final : public Program {
 public:
  Build(size_t headers, Trace* trace, Random* random) : zipf_(headers, random), compiler_(trace->AddFile(24 * kMiB)) {
    for (size_t i = 0; i < headers; ++i) headers_.push_back(trace->AddFile(random->Size(kKiB, 60 * kKiB)));
    for (uint64_t at = 0; at < 24 * kMiB; at += 64 * kKiB) {
      if (random->Percent(50)) used_.push_back(at);
    }
  }
  void Step(Trace* trace, Random* random) override {
    trace->Open(compiler_);
    for (const uint64_t at : used_) {
      if (random->Percent(50)) trace->Touch(compiler_, at, 16 * kKiB);
    }
    ReadWhole(trace, trace->AddFile(random->Size(kKiB, 60 * kKiB)));
    for (int i = 0; i < 40; ++i) ReadWhole(trace, headers_[zipf_.Pick(random)]);
    const FileId object = trace->AddFile(0);
    const uint64_t size = random->Size(8 * kKiB, 200 * kKiB);
    trace->Open(object);
    for (uint64_t at = 0; at < size; at += 32 * kKiB) trace->Write(object, at, std::min(32 * kKiB, size - at));
    trace->Close(object);
    trace->Close(compiler_);
    objects_.push_back({object, size});
    if (objects_.size() % 50 == 0) Link(trace);
  }

 private:
  struct Object {
    FileId file;
    uint64_t size;
  };
  // An archive of the last fifty objects.
  void Link(Trace* trace) {
    const FileId archive = trace->AddFile(0);
    trace->Open(archive);
    uint64_t at = 0;
    for (size_t i = objects_.size() - 50; i < objects_.size(); ++i) {
      trace->Open(objects_[i].file);
      trace->Read(objects_[i].file, 0, objects_[i].size);
      trace->Close(objects_[i].file);
      trace->Write(archive, at, objects_[i].size);
      at += objects_[i].size;
    }
    trace->Close(archive);
  }

  Zipf zipf_;
  const FileId compiler_;
  std::vector<FileId> headers_;
  std::vector<uint64_t> used_;
  std::vector<Object> objects_;
};

// Reads anywhere in any of the files, which all stay open but for one after another that is opened anew.
class Scattered final : public Program {
 public:
  Scattered(uint64_t bytes, Trace* trace) {
    const uint64_t count = std::max<uint64_t>(bytes / (4 * kMiB), 1);
    for (uint64_t i = 0; i < count; ++i) files_.push_back(trace->AddFile(std::min(bytes, 4 * kMiB)));
    for (const FileId file : files_) trace->Open(file);
  }
  void Step(Trace* trace, Random* random) override {
    const FileId reopened = files_[next_++ % files_.size()];
    trace->Close(reopened);
    trace->Open(reopened);
    for (int i = 0; i < 32; ++i) {
      const FileId file = files_[random->Below(files_.size())];
      trace->Read(file, random->Below(trace->files[file].size / (16 * kKiB)) * 16 * kKiB, 16 * kKiB);
    }
  }

 private:
  std::vector<FileId> files_;
  size_t next_ = 0;
};

void Repeat(Program* program, uint64_t steps, Nanos think, const WorkloadConfig& config, Trace* trace, Random* random) {
  // In bursts: what is spread evenly never meets an empty window.
  constexpr int kBurst = 10;
  steps = std::max<uint64_t>(steps * config.length_percent / 100, 1);
  for (uint64_t i = 1; i <= steps; ++i) {
    program->Step(trace, random);
    if (i % kBurst == 0) trace->Think(think * kBurst);
  }
}

void Mixed(const WorkloadConfig& config, Trace* trace, Random* random) {
  Database database(1, 14 * kMiB, trace);
  Libraries libraries(12, trace, random);
  ZipfFiles small(1500, 20, trace, random);
  Stream stream(8 * kMiB);
  const uint64_t steps = std::max<uint64_t>(6000 * config.length_percent / 100, 1);
  for (uint64_t i = 0; i < steps; ++i) {
    database.Step(trace, random);
    small.Step(trace, random);
    if (i % 8 == 3) libraries.Step(trace, random);
    if (i % 16 == 9) stream.Step(trace, random);
    if (i % 4 == 0) trace->Think(48 * kMs);
  }
}

}  // namespace

std::optional<Trace> MakeWorkload(absl::string_view name, const WorkloadConfig& config) {
  Trace trace;
  trace.name = std::string(name);
  Random random(config.seed);
  if (name == "zipf") {
    ZipfFiles files(2000, 60, &trace, &random);
    Repeat(&files, 30'000, 3 * kMs, config, &trace, &random);
  } else if (name == "stream") {
    Stream stream(8 * kMiB);
    Repeat(&stream, 400, 200 * kMs, config, &trace, &random);
  } else if (name == "hotset") {
    HotSet files(6, 6 * kMiB, &trace);
    Repeat(&files, 3000, 30 * kMs, config, &trace, &random);
  } else if (name == "libraries") {
    Libraries libraries(24, &trace, &random);
    Repeat(&libraries, 2500, 40 * kMs, config, &trace, &random);
  } else if (name == "database") {
    Database database(3, 12 * kMiB, &trace);
    Repeat(&database, 10'000, 8 * kMs, config, &trace, &random);
  } else if (name == "build") {
    Build build(600, &trace, &random);
    Repeat(&build, 1000, 80 * kMs, config, &trace, &random);
  } else if (name == "fourfold") {
    trace = MakeWorkingSet(4 * config.window_bytes, config);
    trace.name = std::string(name);
  } else if (name == "mixed") {
    Mixed(config, &trace, &random);
  } else {
    return std::nullopt;
  }
  return trace;
}

Trace MakeWorkingSet(uint64_t working_set_bytes, const WorkloadConfig& config) {
  Trace trace;
  trace.name = "working set";
  Random random(config.seed);
  Scattered files(working_set_bytes, &trace);
  Repeat(&files, 40'000, 1 * kMs, config, &trace, &random);
  return trace;
}

}  // namespace daxvmm::lab
