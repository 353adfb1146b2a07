#include "memory/guest_memory.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/mapping_window.h"
#include "memory/test_memory.h"

namespace daxvmm::memory {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

Region Ram(uint64_t base, std::vector<std::byte>& bytes) {
  return {.base = GuestPhysAddr(base), .size = ByteCount(bytes.size()), .host = bytes.data()};
}

absl::StatusCode CreateCode(std::vector<Region> regions) {
  return GuestMemory::Create(std::move(regions)).status().code();
}

TEST(GuestMemoryCreateTest, SortsByBase) {
  std::vector<std::byte> a(16);
  std::vector<std::byte> b(16);
  std::vector<std::byte> c(16);
  const auto memory = GuestMemory::Create({Ram(0x300, c), Ram(0x100, a), Ram(0x200, b)});
  ASSERT_TRUE(memory.ok()) << memory.status();
  std::vector<uint64_t> bases;
  for (const Region& region : memory->regions()) bases.push_back(region.base.raw());
  EXPECT_EQ(bases, (std::vector<uint64_t>{0x100, 0x200, 0x300}));
}

TEST(GuestMemoryCreateTest, TakesNeighboursAndRefusesOverlap) {
  std::vector<std::byte> a(16);
  std::vector<std::byte> b(16);
  EXPECT_EQ(CreateCode({Ram(0x100, a), Ram(0x110, b)}), absl::StatusCode::kOk);
  EXPECT_EQ(CreateCode({Ram(0x100, a), Ram(0x10f, b)}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCode({Ram(0x10f, b), Ram(0x100, a)}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCode({Ram(0x100, a), Ram(0x100, b)}), absl::StatusCode::kInvalidArgument);
}

TEST(GuestMemoryCreateTest, RefusesEmptyWrappingAndUnbacked) {
  std::vector<std::byte> a(16);
  std::vector<std::byte> none;
  Region unbacked = Ram(0x100, a);
  unbacked.host = nullptr;
  Region empty = Ram(0x100, a);
  empty.size = ByteCount(0);
  EXPECT_EQ(CreateCode({empty}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCode({unbacked}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCode({Ram(kMax - 15, a)}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCode({Ram(kMax - 16, a)}), absl::StatusCode::kOk);
}

// RAM at 0x1000 and 0x1010 without a gap, and at 0x2000.
class GuestMemoryTest : public testing::Test {
 protected:
  std::vector<std::byte> first_ = std::vector<std::byte>(16, std::byte{'a'});
  std::vector<std::byte> second_ = std::vector<std::byte>(16, std::byte{'b'});
  std::vector<std::byte> third_ = std::vector<std::byte>(16, std::byte{'c'});
  GuestMemory memory_ = GuestMemory::Create({Ram(0x1000, first_), Ram(0x1010, second_), Ram(0x2000, third_)}).value();

  std::string ReadText(uint64_t at, size_t size) {
    std::vector<std::byte> to(size);
    return memory_.Read(GuestPhysAddr(at), to) ? Text(to) : "refused";
  }
};

TEST_F(GuestMemoryTest, FindsTheRegionOfEachAddress) {
  const std::span<const Region> regions = memory_.regions();
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0)), nullptr);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0xfff)), nullptr);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0x1000)), &regions[0]);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0x100f)), &regions[0]);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0x1010)), &regions[1]);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0x1020)), nullptr);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0x200f)), &regions[2]);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(0x2010)), nullptr);
  EXPECT_EQ(memory_.Find(GuestPhysAddr(kMax)), nullptr);
}

TEST_F(GuestMemoryTest, ReadsAcrossRegionsAndStopsAtAGap) {
  EXPECT_EQ(ReadText(0x100e, 4), "aabb");
  EXPECT_EQ(ReadText(0x1000, 32), std::string(16, 'a') + std::string(16, 'b'));
  EXPECT_EQ(ReadText(0x1000, 33), "refused");
  EXPECT_EQ(ReadText(0xfff, 2), "refused");
  EXPECT_EQ(ReadText(0x2010, 1), "refused");
  EXPECT_EQ(ReadText(kMax, 2), "refused");
  EXPECT_EQ(ReadText(0x5000, 0), "") << "nothing is never out of bounds";
}

TEST_F(GuestMemoryTest, WritesAcrossRegionsAndStopsAtAGap) {
  EXPECT_TRUE(memory_.Write(GuestPhysAddr(0x100e), Bytes("1234")));
  EXPECT_EQ(ReadText(0x100d, 6), "a1234b");
  EXPECT_FALSE(memory_.Write(GuestPhysAddr(0x101e), Bytes("1234")));
  EXPECT_FALSE(memory_.Write(GuestPhysAddr(kMax), Bytes("1234")));
}

TEST_F(GuestMemoryTest, CopiesObjects) {
  EXPECT_TRUE(memory_.WriteObject(GuestPhysAddr(0x100e), uint32_t{0x01020304}));
  EXPECT_EQ(memory_.ReadObject<uint32_t>(GuestPhysAddr(0x100e)), 0x01020304u);
  EXPECT_EQ(memory_.ReadObject<uint32_t>(GuestPhysAddr(0x200d)), std::nullopt);
}

TEST_F(GuestMemoryTest, ReadOnlyRegionsTakeNoWrite) {
  Region region = Ram(0x1000, first_);
  region.writable = false;
  const GuestMemory memory = GuestMemory::Create({region}).value();
  EXPECT_FALSE(memory.Write(GuestPhysAddr(0x1000), Bytes("x")));
  EXPECT_EQ(Text(first_), std::string(16, 'a'));
  IoVecs vecs;
  EXPECT_FALSE(memory.AppendIoVecs(GuestPhysAddr(0x1000), ByteCount(1), Access::kDeviceWrites, &vecs));
  EXPECT_TRUE(memory.AppendIoVecs(GuestPhysAddr(0x1000), ByteCount(1), Access::kDeviceReads, &vecs));
}

TEST_F(GuestMemoryTest, IoVecsCutAtRegionBordersAndAppend) {
  IoVecs vecs;
  ASSERT_TRUE(memory_.AppendIoVecs(GuestPhysAddr(0x2001), ByteCount(3), Access::kDeviceWrites, &vecs));
  ASSERT_TRUE(memory_.AppendIoVecs(GuestPhysAddr(0x100c), ByteCount(8), Access::kDeviceWrites, &vecs));
  ASSERT_TRUE(memory_.AppendIoVecs(GuestPhysAddr(0x9999), ByteCount(0), Access::kDeviceWrites, &vecs));
  ASSERT_EQ(vecs.iov.size(), 3u);
  EXPECT_EQ(vecs.iov[0].iov_base, third_.data() + 1);
  EXPECT_EQ(vecs.iov[0].iov_len, 3u);
  EXPECT_EQ(vecs.iov[1].iov_base, first_.data() + 12);
  EXPECT_EQ(vecs.iov[1].iov_len, 4u);
  EXPECT_EQ(vecs.iov[2].iov_base, second_.data());
  EXPECT_EQ(vecs.iov[2].iov_len, 4u);
  EXPECT_EQ(vecs.TotalBytes(), 11u);
  EXPECT_TRUE(vecs.all_ram);
  EXPECT_FALSE(memory_.AppendIoVecs(GuestPhysAddr(0x101f), ByteCount(2), Access::kDeviceReads, &vecs));
  EXPECT_FALSE(memory_.AppendIoVecs(GuestPhysAddr(0x1000), ByteCount(kMax), Access::kDeviceReads, &vecs));
}

TEST_F(GuestMemoryTest, RamPointerIsForOneRegionOnly) {
  EXPECT_EQ(memory_.RamPointer(GuestPhysAddr(0x1004), ByteCount(12)), first_.data() + 4);
  EXPECT_EQ(memory_.RamPointer(GuestPhysAddr(0x1004), ByteCount(13)), nullptr) << "reaches into the next region";
  EXPECT_EQ(memory_.RamPointer(GuestPhysAddr(0x1004), ByteCount(kMax)), nullptr);
  EXPECT_EQ(memory_.RamPointer(GuestPhysAddr(0x0fff), ByteCount(1)), nullptr);
}

// A page of RAM right below a window of 2 MiB in which one page of a file is mapped, at 0x2000 from its start.
class GuestMemoryWindowTest : public testing::Test {
 protected:
  static constexpr uint64_t kWindow = 0x20'0000;
  static constexpr uint64_t kPage = kWindow + 0x2000;

  GuestMemory Make(bool writable) {
    return GuestMemory::Create(
               {Ram(kWindow - 4096, ram_),
                {GuestPhysAddr(kWindow), window_.size(), window_.host(), RegionKind::kWindow, writable}})
        .value();
  }
  void MapFile(Protection protection) {
    const absl::Status status = window_.Map(WindowOffset(0x2000), kPageSize, file_.get(), FileOffset(0), protection);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::vector<std::byte> ram_ = std::vector<std::byte>(4096, std::byte{'r'});
  UniqueFd file_ = MemFile(kPageSize, "hello");
  MappingWindow window_ = MappingWindow::Create(MiB(2)).value();
  std::array<std::byte, 5> buffer_{};
};

TEST_F(GuestMemoryWindowTest, MappedPagesReadAndWriteTheFile) {
  MapFile(Protection::kReadWrite);
  const GuestMemory memory = Make(true);
  ASSERT_TRUE(memory.Read(GuestPhysAddr(kPage), buffer_));
  EXPECT_EQ(Text(buffer_), "hello");
  EXPECT_TRUE(memory.Write(GuestPhysAddr(kPage + 1), Bytes("EL")));
  EXPECT_EQ(Contents(file_, 5), "hELlo");
}

TEST_F(GuestMemoryWindowTest, UnmappedPagesAreRefusedWithoutASignal) {
  MapFile(Protection::kReadWrite);
  const GuestMemory memory = Make(true);
  EXPECT_FALSE(memory.Read(GuestPhysAddr(kWindow), buffer_));
  EXPECT_FALSE(memory.Write(GuestPhysAddr(kWindow), buffer_));
  EXPECT_FALSE(memory.Read(GuestPhysAddr(kPage - 1), buffer_)) << "only the last bytes are there";
  EXPECT_FALSE(memory.Read(GuestPhysAddr(kPage + 4094), buffer_)) << "only the first bytes are there";
  EXPECT_FALSE(memory.Write(GuestPhysAddr(kPage + 4094), buffer_));
  EXPECT_FALSE(memory.Read(GuestPhysAddr(kWindow - 2), buffer_)) << "RAM, then an unmapped page";
}

TEST_F(GuestMemoryWindowTest, PagesPastTheEndOfATruncatedFileAreRefusedWithoutASignal) {
  MapFile(Protection::kReadWrite);
  const GuestMemory memory = Make(true);
  ASSERT_TRUE(memory.Read(GuestPhysAddr(kPage), buffer_)) << "present before";
  ASSERT_EQ(ftruncate(file_.get(), 0), 0);
  EXPECT_FALSE(memory.Read(GuestPhysAddr(kPage), buffer_));
  EXPECT_FALSE(memory.Write(GuestPhysAddr(kPage), buffer_));
}

TEST_F(GuestMemoryWindowTest, ReadOnlyWindowsAndReadOnlyPagesTakeNoWrite) {
  MapFile(Protection::kReadWrite);
  EXPECT_FALSE(Make(false).Write(GuestPhysAddr(kPage), Bytes("x"))) << "the region is read-only";
  MapFile(Protection::kReadOnly);
  EXPECT_FALSE(Make(true).Write(GuestPhysAddr(kPage), Bytes("x"))) << "the page is read-only";
  EXPECT_EQ(Contents(file_, 5), "hello");
  EXPECT_TRUE(Make(false).Read(GuestPhysAddr(kPage), buffer_));
}

TEST_F(GuestMemoryWindowTest, AWindowIsNeverRamForRingsOrCopies) {
  MapFile(Protection::kReadWrite);
  const GuestMemory memory = Make(true);
  EXPECT_EQ(memory.RamPointer(GuestPhysAddr(kPage), ByteCount(4)), nullptr);
  EXPECT_NE(memory.RamPointer(GuestPhysAddr(kWindow - 4096), ByteCount(4096)), nullptr);
  IoVecs vecs;
  ASSERT_TRUE(memory.AppendIoVecs(GuestPhysAddr(kWindow - 8), ByteCount(8), Access::kDeviceReads, &vecs));
  EXPECT_TRUE(vecs.all_ram);
  ASSERT_TRUE(memory.AppendIoVecs(GuestPhysAddr(kWindow - 8), ByteCount(16), Access::kDeviceReads, &vecs));
  EXPECT_FALSE(vecs.all_ram);
  EXPECT_EQ(vecs.TotalBytes(), 24u);
  vecs.Clear();
  EXPECT_TRUE(vecs.all_ram);
  EXPECT_EQ(vecs.TotalBytes(), 0u);
}

}  // namespace
}  // namespace daxvmm::memory
