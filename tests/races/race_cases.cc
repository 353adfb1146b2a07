#include "tests/races/race_cases.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "devices/virtio_fs/fuse/abi.h"

namespace daxvmm::races {
namespace {

using fuse::AsBytes;
using fuse::AsName;

constexpr char kXattr[] = "user.inside";  // the canary's files have it too, with the marker

// Sends a request that takes a node and a fixed argument only.
template <typename T>
void CallOn(Racer* r, uint32_t opcode, Target target, const T& in) {
  if (const uint64_t node = r->Node(target); node != 0) r->Call(opcode, node, AsBytes(in));
}

// `send(node, fh)` with an open file.
template <typename Function>
void WithFile(Racer* r, uint32_t flags, Function send) {
  const uint64_t node = r->Node(Target::kFile);
  if (node == 0) return;
  if (const uint64_t fh = r->Open(node, flags); fh != 0) send(node, fh);
}

template <typename Function>
void WithDirectory(Racer* r, Function send) {
  const uint64_t node = r->Node(Target::kDirectory);
  if (node == 0) return;
  if (const uint64_t fh = r->OpenDirectory(node); fh != 0) send(node, fh);
}

// `make(place)` where nothing is, and clears up. What was made is looked up once more: by now it may be another thing.
template <typename Function>
void InFreePlace(Racer* r, Function make) {
  const Place place = r->FreePlace();
  if (place.parent == 0) return;
  make(place);
  r->Call(FUSE_LOOKUP, place.parent, AsName(place.name));
  r->Clear(place);
}

std::string MakeNodeBody(uint32_t mode, uint32_t device, const std::string& name) {
  fuse_mknod_in in = {};
  in.mode = mode;
  in.rdev = device;
  return AsBytes(in) + AsName(name);
}

fuse_create_in CreateIn(uint32_t flags) {
  fuse_create_in in = {};
  in.flags = flags;
  in.mode = S_IFREG | 0644;
  return in;
}

// Renames something between two places that both change what they are.
void RaceRename(Racer* r, uint32_t flags, bool second) {
  const Place from = r->FreePlace(), to = r->FreePlace();
  if (from.parent == 0 || to.parent == 0) return;
  r->Call(FUSE_MKNOD, from.parent, MakeNodeBody(S_IFREG | 0644, 0, from.name));
  if ((flags & RENAME_EXCHANGE) != 0) r->Call(FUSE_MKNOD, to.parent, MakeNodeBody(S_IFREG | 0644, 0, to.name));
  const std::string names = AsName(from.name) + AsName(to.name);
  if (second) {
    fuse_rename2_in in = {};
    in.newdir = to.parent;
    in.flags = flags;
    r->Call(FUSE_RENAME2, from.parent, AsBytes(in) + names);
  } else {
    r->Call(FUSE_RENAME, from.parent, AsBytes(fuse_rename_in{to.parent}) + names);
  }
  r->Clear(from);
  r->Clear(to);
}

void RaceRename2(Racer* r) {
  constexpr uint32_t kFlags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};
  RaceRename(r, kFlags[r->Random(4)], true);
  // The client itself may be the one who swaps.
  const uint64_t arena = r->Walk({"arena"});
  if (arena == 0) return;
  fuse_rename2_in in = {};
  in.newdir = arena;
  in.flags = RENAME_EXCHANGE;
  r->Call(FUSE_RENAME2, arena, AsBytes(in) + AsName("dir") + AsName("dir.x"));
}

void RaceSetAttr(Racer* r) {
  const uint64_t node = r->Node(Target::kAnything);
  if (node == 0) return;
  fuse_setattr_in in = {};
  switch (r->Random(5)) {
    case 0:
      in.valid = FATTR_MODE;
      in.mode = 0640 | (r->Random(2) == 0 ? S_ISGID : 0);
      break;
    case 1:
      in.valid = FATTR_UID | FATTR_GID;
      in.uid = 1234;
      in.gid = 2345;
      break;
    case 2:
      in.valid = FATTR_SIZE;
      in.size = r->Random(100);
      break;
    case 3:
      in.valid = FATTR_ATIME | FATTR_MTIME;
      in.mtime = 1'000'000;
      break;
    default:
      in.valid = FATTR_SIZE | FATTR_FH | FATTR_KILL_SUIDGID;
      in.fh = r->Open(node, O_RDWR);
      break;
  }
  r->Call(FUSE_SETATTR, node, AsBytes(in));
}

void RaceReadDir(Racer* r, uint32_t opcode) {
  WithDirectory(r, [&](uint64_t node, uint64_t fh) {
    fuse_read_in in = {};
    in.fh = fh;
    in.size = 4096;
    r->Call(opcode, node, AsBytes(in));
  });
}

void RaceOpen(Racer* r) {
  constexpr uint32_t kFlags[] = {
      O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND, O_RDONLY | O_NOATIME};
  if (const uint64_t node = r->Node(Target::kAnything); node != 0) r->Open(node, kFlags[r->Random(6)]);
}

void RaceCreate(Racer* r) {
  InFreePlace(r, [&](const Place& place) {
    constexpr uint32_t kFlags[] = {O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_TRUNC};
    r->Call(FUSE_CREATE, place.parent, AsBytes(CreateIn(kFlags[r->Random(3)])) + AsName(place.name));
  });
  // Of a name that exists, and is not always what it was.
  if (const uint64_t arena = r->Walk({"arena"}); arena != 0) {
    const char* const names[] = {"file", "odd", "dir", "slot"};
    r->Call(FUSE_CREATE, arena, AsBytes(CreateIn(O_RDWR | O_CREAT)) + AsName(names[r->Random(4)]));
  }
}

void RaceUnlink(Racer* r) {
  const uint64_t arena = r->Walk({"arena"});
  if (arena == 0) return;
  const char* const names[] = {"file", "odd", "dir", "slot"};
  r->Call(FUSE_UNLINK, arena, AsName(names[r->Random(4)]));
}

void RaceRmDir(Racer* r) {
  InFreePlace(r, [&](const Place& place) {
    r->Call(FUSE_MKDIR, place.parent, AsBytes(fuse_mkdir_in{0755, 0}) + AsName(place.name));
    r->Call(FUSE_RMDIR, place.parent, AsName(place.name));
  });
  if (const uint64_t dir = r->Node(Target::kDirectory); dir != 0) r->Call(FUSE_RMDIR, dir, AsName("sub"));
}

void RaceMakeNode(Racer* r) {
  InFreePlace(r, [&](const Place& place) {
    constexpr uint32_t kModes[] = {S_IFREG | 0644, S_IFIFO | 0644, S_IFSOCK | 0644, S_IFCHR | 0644};
    r->Call(FUSE_MKNOD, place.parent, MakeNodeBody(kModes[r->Random(4)], 0x103, place.name));
  });
}

void RaceLink(Racer* r) {
  const uint64_t old = r->Node(Target::kAnything);
  if (old == 0) return;
  InFreePlace(r, [&](const Place& place) {
    r->Call(FUSE_LINK, place.parent, AsBytes(fuse_link_in{old}) + AsName(place.name));
  });
}

void RaceSetXattr(Racer* r) {
  // The short form of the argument: the session was begun without FUSE_SETXATTR_EXT.
  const std::string value = "inside";
  const uint32_t in[2] = {static_cast<uint32_t>(value.size()), 0};
  if (const uint64_t node = r->Node(Target::kAnything); node != 0) {
    r->Call(FUSE_SETXATTR, node, AsBytes(in) + AsName(kXattr) + value);
  }
}

void RaceGetXattr(Racer* r) {
  fuse_getxattr_in in = {};
  in.size = 4096;
  if (const uint64_t node = r->Node(Target::kAnything); node != 0) {
    const uint32_t set[2] = {2, 0};
    r->Call(FUSE_SETXATTR, node, AsBytes(set) + AsName(kXattr) + "in");
    r->Call(FUSE_GETXATTR, node, AsBytes(in) + AsName(kXattr));
  }
}

void RaceRemoveXattr(Racer* r) {
  RaceSetXattr(r);
  if (const uint64_t node = r->Node(Target::kAnything); node != 0) {
    const uint32_t set[2] = {2, 0};
    r->Call(FUSE_SETXATTR, node, AsBytes(set) + AsName(kXattr) + "in");
    r->Call(FUSE_REMOVEXATTR, node, AsName(kXattr));
  }
}

void RaceIoctl(Racer* r) {
  WithFile(r, O_RDONLY, [&](uint64_t node, uint64_t fh) {
    fuse_ioctl_in in = {};
    in.fh = fh;
    in.cmd = r->Random(2) == 0 ? FS_IOC_GETFLAGS : FS_IOC_FSGETXATTR;
    in.out_size = in.cmd == FS_IOC_GETFLAGS ? 4 : sizeof(fsxattr);
    r->Call(FUSE_IOCTL, node, AsBytes(in));
    // The persistent DAX hint, wherever the share keeps it.
    fsxattr attr = {};
    attr.fsx_xflags = r->Random(2) == 0 ? FS_XFLAG_DAX : 0;
    in.cmd = FS_IOC_FSSETXATTR;
    in.in_size = sizeof(attr);
    in.out_size = 0;
    r->Call(FUSE_IOCTL, node, AsBytes(in) + AsBytes(attr));
  });
}

void RaceCopyFileRange(Racer* r) {
  WithFile(r, O_RDONLY, [&](uint64_t node, uint64_t fh) {
    WithFile(r, O_RDWR, [&](uint64_t to, uint64_t to_fh) {
      fuse_copy_file_range_in in = {};
      in.fh_in = fh;
      in.nodeid_out = to;
      in.fh_out = to_fh;
      in.len = 64;
      in.off_out = 128;
      r->Call(FUSE_COPY_FILE_RANGE, node, AsBytes(in));
    });
  });
}

void RaceSetupMapping(Racer* r) {
  fuse_setupmapping_in in = {};
  in.fh = ~uint64_t{0};
  in.len = 2 << 20;
  in.flags = FUSE_SETUPMAPPING_FLAG_READ | (r->Random(2) == 0 ? FUSE_SETUPMAPPING_FLAG_WRITE : 0);
  CallOn(r, FUSE_SETUPMAPPING, r->Random(2) == 0 ? Target::kFile : Target::kAnything, in);
}

// Uses nodes that another racer's FORGET, INIT or DESTROY may end at any moment.
void UseNodes(Racer* r) {
  WithFile(r, O_RDWR, [&](uint64_t node, uint64_t fh) {
    r->Call(FUSE_GETATTR, node, AsBytes(fuse_getattr_in{}));
    fuse_read_in in = {};
    in.fh = fh;
    in.size = 4096;
    r->Call(FUSE_READ, node, AsBytes(in));
  });
}

std::string InitBody() {
  fuse_init_in in = {};
  in.major = 7;
  in.minor = 38;
  // Neither longer arguments nor extensions behind them.
  in.flags = fuse::kLinuxFlags & ~uint32_t{FUSE_SETXATTR_EXT};
  in.flags2 = fuse::kLinuxFlags2 & 2;  // FUSE_HAS_INODE_DAX
  return AsBytes(in);
}

constexpr RaceCase kCases[] = {
    {FUSE_LOOKUP, Family::kLooking, 1, [](Racer* r) { r->Node(Target::kAnything); }},
    {FUSE_GETATTR, Family::kLooking, 1,
     [](Racer* r) { CallOn(r, FUSE_GETATTR, Target::kAnything, fuse_getattr_in{}); }},
    {FUSE_READLINK, Family::kLooking, 1,
     [](Racer* r) {
       if (const uint64_t node = r->Node(Target::kLink); node != 0) r->Call(FUSE_READLINK, node, "");
     }},
    {FUSE_ACCESS, Family::kLooking, 1,
     [](Racer* r) { CallOn(r, FUSE_ACCESS, Target::kAnything, fuse_access_in{R_OK, 0}); }},
    {FUSE_STATFS, Family::kLooking, 1,
     [](Racer* r) {
       if (const uint64_t node = r->Node(Target::kAnything); node != 0) r->Call(FUSE_STATFS, node, "");
     }},

    {FUSE_OPENDIR, Family::kListing, 1,
     [](Racer* r) {
       if (const uint64_t node = r->Node(Target::kAnything); node != 0) r->OpenDirectory(node);
     }},
    {FUSE_READDIR, Family::kListing, 1, [](Racer* r) { RaceReadDir(r, FUSE_READDIR); }},
    {FUSE_READDIRPLUS, Family::kListing, 1, [](Racer* r) { RaceReadDir(r, FUSE_READDIRPLUS); }},
    {FUSE_READDIRPLUS, Family::kListing, 1,
     [](Racer* r) {
       // Of the directory whose entries are swapped, each between its listing and its lookup.
       const uint64_t arena = r->Walk({"arena"});
       const uint64_t fh = arena != 0 ? r->OpenDirectory(arena) : 0;
       fuse_read_in in = {};
       in.fh = fh;
       in.size = 4096;
       if (fh != 0) r->Call(FUSE_READDIRPLUS, arena, AsBytes(in));
     }},
    {FUSE_RELEASEDIR, Family::kListing, 1, [](Racer* r) { WithDirectory(r, [](uint64_t, uint64_t) {}); }},
    {FUSE_FSYNCDIR, Family::kListing, 200,
     [](Racer* r) {
       WithDirectory(r, [&](uint64_t node, uint64_t fh) {
         fuse_fsync_in in = {};
         in.fh = fh;
         r->Call(FUSE_FSYNCDIR, node, AsBytes(in));
       });
     }},

    {FUSE_SYMLINK, Family::kMaking, 1,
     [](Racer* r) {
       InFreePlace(r, [&](const Place& place) {
         r->Call(FUSE_SYMLINK, place.parent, AsName(place.name) + AsName("../../outside/secret"));
       });
     }},
    {FUSE_MKNOD, Family::kMaking, 1, RaceMakeNode},
    {FUSE_MKDIR, Family::kMaking, 1,
     [](Racer* r) {
       InFreePlace(r, [&](const Place& place) {
         r->Call(FUSE_MKDIR, place.parent, AsBytes(fuse_mkdir_in{0755, 0}) + AsName(place.name));
       });
     }},
    {FUSE_LINK, Family::kMaking, 1, RaceLink},
    {FUSE_CREATE, Family::kMaking, 1, RaceCreate},
    {FUSE_TMPFILE, Family::kMaking, 1,
     [](Racer* r) {
       if (const uint64_t node = r->Node(Target::kDirectory); node != 0) {
         r->Call(FUSE_TMPFILE, node, AsBytes(CreateIn(O_RDWR)) + AsName("/"));
       }
     }},

    {FUSE_UNLINK, Family::kMoving, 8, RaceUnlink},
    {FUSE_RMDIR, Family::kMoving, 1, RaceRmDir},
    {FUSE_RENAME, Family::kMoving, 1, [](Racer* r) { RaceRename(r, 0, false); }},
    {FUSE_RENAME2, Family::kMoving, 1, RaceRename2},

    {FUSE_OPEN, Family::kContents, 1, RaceOpen},
    {FUSE_READ, Family::kContents, 1,
     [](Racer* r) {
       WithFile(r, O_RDONLY, [&](uint64_t node, uint64_t fh) {
         fuse_read_in in = {};
         in.fh = fh;
         in.size = 4096;
         r->Call(FUSE_READ, node, AsBytes(in));
       });
     }},
    {FUSE_WRITE, Family::kContents, 1,
     [](Racer* r) {
       WithFile(r, O_RDWR, [&](uint64_t node, uint64_t fh) {
         fuse_write_in in = {};
         in.fh = fh;
         in.size = 6;
         r->Call(FUSE_WRITE, node, AsBytes(in) + "inside");
       });
     }},
    {FUSE_RELEASE, Family::kContents, 1, [](Racer* r) { WithFile(r, O_RDONLY, [](uint64_t, uint64_t) {}); }},
    {FUSE_FLUSH, Family::kContents, 1,
     [](Racer* r) {
       WithFile(r, O_RDWR, [&](uint64_t node, uint64_t fh) {
         fuse_flush_in in = {};
         in.fh = fh;
         r->Call(FUSE_FLUSH, node, AsBytes(in));
       });
     }},
    {FUSE_FSYNC, Family::kContents, 200,
     [](Racer* r) {
       WithFile(r, O_RDWR, [&](uint64_t node, uint64_t fh) {
         fuse_fsync_in in = {};
         in.fh = fh;
         r->Call(FUSE_FSYNC, node, AsBytes(in));
       });
     }},
    {FUSE_FALLOCATE, Family::kContents, 4,
     [](Racer* r) {
       WithFile(r, O_RDWR, [&](uint64_t node, uint64_t fh) {
         fuse_fallocate_in in = {};
         in.fh = fh;
         in.length = 4096;
         r->Call(FUSE_FALLOCATE, node, AsBytes(in));
       });
     }},
    {FUSE_LSEEK, Family::kContents, 1,
     [](Racer* r) {
       WithFile(r, O_RDONLY, [&](uint64_t node, uint64_t fh) {
         fuse_lseek_in in = {};
         in.fh = fh;
         in.whence = SEEK_HOLE;
         r->Call(FUSE_LSEEK, node, AsBytes(in));
       });
     }},
    {FUSE_COPY_FILE_RANGE, Family::kContents, 1, RaceCopyFileRange},
    {FUSE_IOCTL, Family::kContents, 4, RaceIoctl},
    {FUSE_SETUPMAPPING, Family::kContents, 1, RaceSetupMapping},
    {FUSE_REMOVEMAPPING, Family::kContents, 1,
     [](Racer* r) {
       if (const uint64_t node = r->Node(Target::kFile); node != 0) {
         r->Call(FUSE_REMOVEMAPPING, node,
                 AsBytes(fuse_removemapping_in{1}) + AsBytes(fuse_removemapping_one{0, 2 << 20}));
       }
     }},
    {FUSE_SYNCFS, Family::kContents, 300,
     [](Racer* r) { CallOn(r, FUSE_SYNCFS, Target::kAnything, fuse_syncfs_in{}); }},

    {FUSE_SETATTR, Family::kAttributes, 1, RaceSetAttr},
    {FUSE_SETXATTR, Family::kAttributes, 1, RaceSetXattr},
    {FUSE_GETXATTR, Family::kAttributes, 1, RaceGetXattr},
    {FUSE_LISTXATTR, Family::kAttributes, 1,
     [](Racer* r) {
       fuse_getxattr_in in = {};
       in.size = 4096;
       CallOn(r, FUSE_LISTXATTR, Target::kAnything, in);
     }},
    {FUSE_REMOVEXATTR, Family::kAttributes, 1, RaceRemoveXattr},

    {FUSE_FORGET, Family::kSession, 1,
     [](Racer* r) {
       UseNodes(r);
       // Of a node that is still in use here: what it has open, and the node's number, must lead nowhere else.
       const uint64_t node = r->Node(Target::kAnything);
       if (node != 0) r->Call(FUSE_FORGET, node, AsBytes(fuse_forget_in{1000}));
       r->Call(FUSE_GETATTR, node, AsBytes(fuse_getattr_in{}));
     }},
    {FUSE_BATCH_FORGET, Family::kSession, 1, UseNodes},  // by Finish
    {FUSE_INTERRUPT, Family::kSession, 1,
     [](Racer* r) {
       UseNodes(r);
       r->Call(FUSE_INTERRUPT, 0, AsBytes(fuse_interrupt_in{fuse::kUnique}));
     }},
    {FUSE_DESTROY, Family::kSession, 100,
     [](Racer* r) {
       UseNodes(r);
       r->Call(FUSE_DESTROY, 0, "");
       r->Drop();
       r->Call(FUSE_INIT, 0, InitBody());
     }},
    {FUSE_INIT, Family::kSession, 100,
     [](Racer* r) {
       UseNodes(r);
       r->Call(FUSE_INIT, 0, InitBody());
       r->Drop();
       UseNodes(r);
     }},
};

}  // namespace

std::span<const RaceCase> RaceCases() { return kCases; }

}  // namespace daxvmm::races
