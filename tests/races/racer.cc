#include "tests/races/racer.h"

#include <fcntl.h>
#include <time.h>

#include <cstring>
#include <iterator>
#include <span>

#include "devices/virtio_fs/fuse/ops.h"

namespace daxvmm::races {
namespace {

using Path = std::vector<std::string>;

// "dir" and what is below it is inside or behind a symbolic link, "mover" comes and goes, "odd" is anything.
const Path kFiles[] = {{"arena", "dir", "f"},
                       {"arena", "dir", "sub", "f"},
                       {"arena", "file"},
                       {"arena", "mover", "in", "f"},
                       {"arena", "mover", "in", "sub", "f"},
                       {"arena", "odd"},
                       {"arena", "file.x"}};
const Path kDirectories[] = {{"arena", "dir"},         {"arena", "dir", "sub"}, {"arena", "mover", "in"},
                             {"arena", "odd"},         {"arena", "dir.x"},      {"arena", "mover", "in", "sub"},
                             {"arena", "dir.x", "sub"}};
const Path kLinks[] = {{"arena", "dir.x"}, {"arena", "file.x"}, {"arena", "dir"}, {"arena", "dir", "link"}};
const Path kOdd[] = {{"arena", "odd"},        {"arena", "odd.fifo"}, {"arena", "odd.char"},    {"arena", "odd.block"},
                     {"arena", "odd.socket"}, {"arena", "odd.dir"},  {"arena", "odd.dir", "f"}};

std::span<const Path> PathsTo(Target target, uint32_t random) {
  if (target == Target::kAnything) target = static_cast<Target>(random % 4);
  switch (target) {
    case Target::kFile:
      return kFiles;
    case Target::kDirectory:
      return kDirectories;
    case Target::kLink:
      return kLinks;
    case Target::kAnything:
      break;
  }
  return kOdd;
}

template <typename T>
T At(const std::string& bytes, size_t at) {
  T value = {};
  if (at < bytes.size()) memcpy(&value, bytes.data() + at, std::min(sizeof(T), bytes.size() - at));
  return value;
}

}  // namespace

int64_t MonotonicMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

void Findings::Escape(const std::string& what) {
  MutexLock lock(&mu_);
  if (escapes_.size() < 4096) escapes_ += what + "\n";
}

std::string Findings::escapes() const {
  MutexLock lock(&mu_);
  return escapes_;
}

void Findings::Count(uint32_t opcode, bool succeeded) {
  counts_[opcode].tried.fetch_add(1, std::memory_order_relaxed);
  if (succeeded) counts_[opcode].succeeded.fetch_add(1, std::memory_order_relaxed);
}

fuse::TestReply Racer::Call(uint32_t opcode, uint64_t node, const std::string& body) {
  busy_with_.store(opcode);
  busy_since_.store(MonotonicMs());
  const fuse::TestReply reply = fuse::Send(&dispatcher_, opcode, node, body, /*room=*/8192);
  busy_since_.store(0);
  findings_.Count(opcode, reply.error() == 0);
  if (reply.error() == 0) LookAt(opcode, reply);
  return reply;
}

void Racer::Search(uint32_t opcode, absl::string_view bytes) {
  if (bytes.find(Canary::kMarker) != absl::string_view::npos) {
    findings_.Escape("opcode " + std::to_string(opcode) + " gave the marker");
  }
}

void Racer::CheckInode(uint32_t opcode, uint64_t ino) {
  if (findings_.canary().Holds(ino)) {
    findings_.Escape("opcode " + std::to_string(opcode) + " gave inode " + std::to_string(ino) + " of outside");
  }
}

void Racer::LookAt(uint32_t opcode, const fuse::TestReply& reply) {
  Search(opcode, reply.payload);
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_TMPFILE: {
      const auto entry = reply.As<fuse_entry_out>();
      CheckInode(opcode, entry.attr.ino);
      if (entry.nodeid != 0) nodes_.push_back(entry.nodeid);
      if (opcode == FUSE_CREATE || opcode == FUSE_TMPFILE) {
        handles_.push_back({entry.nodeid, At<fuse_open_out>(reply.payload, sizeof(fuse_entry_out)).fh, false});
      }
      break;
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR:
      CheckInode(opcode, reply.As<fuse_attr_out>().attr.ino);
      break;
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: {
      const bool plus = opcode == FUSE_READDIRPLUS;
      for (size_t at = 0; at < reply.payload.size();) {
        if (plus) {
          const auto entry = At<fuse_entry_out>(reply.payload, at);
          CheckInode(opcode, entry.attr.ino);
          if (entry.nodeid != 0) nodes_.push_back(entry.nodeid);
          at += sizeof(fuse_entry_out);
        }
        const auto dirent = At<fuse_dirent>(reply.payload, at);
        CheckInode(opcode, dirent.ino);
        at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + dirent.namelen);
      }
      break;
    }
    default:
      break;
  }
}

uint64_t Racer::Walk(const std::vector<std::string>& path) {
  uint64_t node = FUSE_ROOT_ID;
  for (const std::string& name : path) {
    const fuse::TestReply reply = Call(FUSE_LOOKUP, node, fuse::AsName(name));
    if (reply.error() != 0) return 0;
    node = reply.As<fuse_entry_out>().nodeid;
    if (node == 0) return 0;
  }
  return node;
}

uint64_t Racer::Node(Target target) {
  const std::span<const Path> paths = PathsTo(target, Random(4));
  return Walk(paths[Random(static_cast<uint32_t>(paths.size()))]);
}

Place Racer::FreePlace() {
  if (Random(2) == 0) return {Walk({"arena"}), "slot"};
  return {Node(Target::kDirectory), "new"};
}

void Racer::Clear(const Place& place) {
  if (Call(FUSE_UNLINK, place.parent, fuse::AsName(place.name)).error() == EISDIR) {
    Call(FUSE_RMDIR, place.parent, fuse::AsName(place.name));
  }
}

uint64_t Racer::Open(uint64_t node, uint32_t flags) {
  fuse_open_in in = {};
  in.flags = flags;
  const fuse::TestReply reply = Call(FUSE_OPEN, node, fuse::AsBytes(in));
  if (reply.error() != 0) return 0;
  handles_.push_back({node, reply.As<fuse_open_out>().fh, false});
  return handles_.back().fh;
}

uint64_t Racer::OpenDirectory(uint64_t node) {
  const fuse::TestReply reply = Call(FUSE_OPENDIR, node, fuse::AsBytes(fuse_open_in{}));
  if (reply.error() != 0) return 0;
  handles_.push_back({node, reply.As<fuse_open_out>().fh, true});
  return handles_.back().fh;
}

void Racer::Finish() {
  for (const OpenHandle& handle : handles_) {
    fuse_release_in in = {};
    in.fh = handle.fh;
    Call(handle.directory ? FUSE_RELEASEDIR : FUSE_RELEASE, handle.node, fuse::AsBytes(in));
  }
  handles_.clear();
  if (nodes_.size() == 1) {
    Call(FUSE_FORGET, nodes_[0], fuse::AsBytes(fuse_forget_in{1}));
  } else if (!nodes_.empty()) {
    std::string body = fuse::AsBytes(fuse_batch_forget_in{static_cast<uint32_t>(nodes_.size()), 0});
    for (uint64_t node : nodes_) body += fuse::AsBytes(fuse_forget_one{node, 1});
    Call(FUSE_BATCH_FORGET, 0, body);
  }
  nodes_.clear();
}

void Racer::Drop() {
  handles_.clear();
  nodes_.clear();
}

}  // namespace daxvmm::races
