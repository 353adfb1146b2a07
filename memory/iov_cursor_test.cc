#include "memory/iov_cursor.h"

#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/mapping_window.h"
#include "memory/test_memory.h"

namespace daxvmm::memory {
namespace {

// `size` bytes that all differ, cut into iovecs at `cuts` (ascending; equal ones make an empty iovec).
struct Buffer {
  Buffer(size_t size, const std::vector<size_t>& cuts, bool all_ram) : bytes(size) {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>('A' + i);
    size_t from = 0;
    for (size_t cut : cuts) {
      vecs.iov.push_back({bytes.data() + from, cut - from});
      from = cut;
    }
    vecs.iov.push_back({bytes.data() + from, size - from});
    vecs.all_ram = all_ram;
  }
  std::vector<std::byte> bytes;
  IoVecs vecs;
};

std::string Gather(const std::vector<iovec>& iov) {
  std::string text;
  for (const iovec& piece : iov) text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return text;
}

constexpr size_t kSize = 9;
constexpr char kAlphabet[] = "ABCDEFGHI";

// Calls `test` for every way to cut kSize bytes in three (empty pieces included), both as RAM, which is copied in
// place, and as memory that may fault.
template <typename Test>
void ForEachCut(Test test) {
  for (bool all_ram : {true, false}) {
    for (size_t one = 0; one <= kSize; ++one) {
      for (size_t two = one; two <= kSize; ++two) {
        SCOPED_TRACE(testing::Message() << "cut at " << one << " and " << two << ", all_ram " << all_ram);
        test(std::vector<size_t>{one, two}, all_ram);
      }
    }
  }
}

TEST(IovReaderTest, WhereTheDriverCutMeansNothing) {
  ForEachCut([](const std::vector<size_t>& cuts, bool all_ram) {
    for (size_t first = 0; first <= kSize; ++first) {
      const Buffer buffer(kSize, cuts, all_ram);
      IovReader reader(buffer.vecs);
      ASSERT_EQ(reader.remaining(), kSize);
      std::vector<std::byte> head(first);
      std::vector<std::byte> tail(kSize - first);
      ASSERT_TRUE(reader.Read(head));
      ASSERT_EQ(reader.remaining(), kSize - first);
      ASSERT_TRUE(reader.Read(tail));
      ASSERT_EQ(Text(head) + Text(tail), kAlphabet);
      ASSERT_EQ(reader.remaining(), 0u);
      std::array<std::byte, 1> more{};
      ASSERT_FALSE(reader.Read(more));
    }
  });
}

TEST(IovReaderTest, SkipAndTakeAgreeWithRead) {
  ForEachCut([](const std::vector<size_t>& cuts, bool all_ram) {
    for (size_t skipped = 0; skipped <= kSize; ++skipped) {
      for (size_t taken = 0; taken <= kSize - skipped; ++taken) {
        const Buffer buffer(kSize, cuts, all_ram);
        IovReader reader(buffer.vecs);
        ASSERT_TRUE(reader.Skip(skipped));
        const std::vector<iovec> pieces = reader.Take(taken);
        for (const iovec& piece : pieces) ASSERT_GT(piece.iov_len, 0u);
        ASSERT_EQ(Gather(pieces), std::string(kAlphabet).substr(skipped, taken));
        std::vector<std::byte> rest(reader.remaining());
        ASSERT_TRUE(reader.Read(rest));
        ASSERT_EQ(Text(rest), std::string(kAlphabet).substr(skipped + taken));
      }
    }
  });
}

TEST(IovReaderTest, TooMuchIsRefusedAndTakesNothing) {
  const Buffer buffer(kSize, {4}, true);
  IovReader reader(buffer.vecs);
  std::array<std::byte, kSize + 1> to{};
  EXPECT_FALSE(reader.Read(to));
  EXPECT_FALSE(reader.Skip(kSize + 1));
  EXPECT_FALSE(reader.Skip(~size_t{0}));
  EXPECT_EQ(reader.remaining(), kSize);
  EXPECT_EQ(Gather(reader.Take(~size_t{0})), kAlphabet) << "Take gives what there is";
  EXPECT_TRUE(reader.Take(1).empty());
}

TEST(IovReaderTest, ReadsObjects) {
  const Buffer buffer(kSize, {2}, true);
  IovReader reader(buffer.vecs);
  uint32_t value = 0;
  EXPECT_TRUE(reader.ReadObject(&value));
  EXPECT_EQ(value, 0x44434241u);
}

TEST(IovReaderTest, NothingToReadIsNoError) {
  const IoVecs none;
  IovReader reader(none);
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_TRUE(reader.Read({}));
  EXPECT_TRUE(reader.Skip(0));
  EXPECT_TRUE(reader.Take(5).empty());
}

TEST(IovWriterTest, WhereTheDriverCutMeansNothing) {
  ForEachCut([](const std::vector<size_t>& cuts, bool all_ram) {
    for (size_t first = 0; first <= kSize; ++first) {
      Buffer buffer(kSize, cuts, all_ram);
      IovWriter writer(buffer.vecs);
      const std::string text = "123456789";
      ASSERT_TRUE(writer.Write(Bytes(text.substr(0, first))));
      ASSERT_EQ(writer.written(), first);
      ASSERT_EQ(writer.remaining(), kSize - first);
      ASSERT_EQ(Text(buffer.bytes), text.substr(0, first) + std::string(kAlphabet).substr(first)) << "no byte beyond";
      ASSERT_TRUE(writer.Write(Bytes(text.substr(first))));
      ASSERT_EQ(Text(buffer.bytes), text);
      ASSERT_EQ(writer.written(), kSize);
      ASSERT_FALSE(writer.Write(Bytes("x")));
      ASSERT_EQ(writer.written(), kSize);
    }
  });
}

TEST(IovWriterTest, PeekShowsWhatAdvancePasses) {
  ForEachCut([](const std::vector<size_t>& cuts, bool all_ram) {
    for (size_t first = 0; first <= kSize; ++first) {
      const Buffer buffer(kSize, cuts, all_ram);
      IovWriter writer(buffer.vecs);
      ASSERT_TRUE(writer.Advance(first));
      ASSERT_EQ(writer.written(), first);
      for (size_t peeked = 0; peeked <= kSize + 1; ++peeked) {
        const std::vector<iovec> pieces = writer.Peek(peeked);
        for (const iovec& piece : pieces) ASSERT_GT(piece.iov_len, 0u);
        ASSERT_EQ(Gather(pieces), std::string(kAlphabet).substr(first, peeked));
      }
      ASSERT_EQ(writer.remaining(), kSize - first) << "Peek moved";
      ASSERT_FALSE(writer.Advance(kSize - first + 1));
    }
  });
}

TEST(IovWriterTest, ASecondWriterFillsInLater) {
  ForEachCut([](const std::vector<size_t>& cuts, bool all_ram) {
    for (size_t header = 0; header <= kSize; ++header) {
      Buffer buffer(kSize, cuts, all_ram);
      IovWriter head(buffer.vecs);
      IovWriter payload = head.At(header);
      ASSERT_TRUE(payload.Write(Bytes(std::string(kSize - header, 'p'))));
      ASSERT_FALSE(payload.Write(Bytes("x")));
      ASSERT_EQ(head.written(), 0u);
      ASSERT_TRUE(head.Write(Bytes(std::string(header, 'h'))));
      ASSERT_EQ(Text(buffer.bytes), std::string(header, 'h') + std::string(kSize - header, 'p'));
    }
  });
}

TEST(IovWriterTest, ASecondWriterBeyondTheEndWritesNothing) {
  Buffer buffer(kSize, {4}, true);
  const IovWriter writer(buffer.vecs);
  IovWriter beyond = writer.At(kSize + 1);
  EXPECT_EQ(beyond.remaining(), 0u);
  EXPECT_FALSE(beyond.Write(Bytes("x")));
  EXPECT_EQ(Text(buffer.bytes), kAlphabet);
}

// Two iovecs: the last four bytes of a window page that is mapped, and the start of the next, which is not.
class WindowCursorTest : public testing::Test {
 protected:
  WindowCursorTest() {
    EXPECT_TRUE(window_.Map(WindowOffset(0), kPageSize, file_.get(), FileOffset(0), Protection::kReadWrite).ok());
    vecs_.all_ram = false;
    vecs_.iov = {{window_.host() + 4092, 4}, {window_.host() + 4096, 4}};
  }
  UniqueFd file_ = MemFile(kPageSize);
  MappingWindow window_ = MappingWindow::Create(MiB(2)).value();
  IoVecs vecs_;
};

TEST_F(WindowCursorTest, ReadingAnUnusablePageFailsWithoutASignal) {
  ASSERT_EQ(pwrite(file_.get(), "abcd", 4, 4092), 4);
  IovReader reader(vecs_);
  std::array<std::byte, 4> usable{};
  EXPECT_TRUE(reader.Read(usable));
  EXPECT_EQ(Text(usable), "abcd");
  std::array<std::byte, 1> unusable{};
  EXPECT_FALSE(reader.Read(unusable));
  std::array<std::byte, 8> both{};
  EXPECT_FALSE(IovReader(vecs_).Read(both));
}

TEST_F(WindowCursorTest, WritingAnUnusablePageFailsWithoutASignalAndCountsWhatArrived) {
  IovWriter writer(vecs_);
  EXPECT_FALSE(writer.Write(Bytes("wxyz12")));
  EXPECT_EQ(writer.written(), 4u);
  EXPECT_EQ(writer.remaining(), 4u);
  EXPECT_EQ(Contents(file_, 4, 4092), "wxyz");
  EXPECT_FALSE(writer.Write(Bytes("1")));
}

TEST_F(WindowCursorTest, ATruncatedFileFailsWithoutASignal) {
  ASSERT_EQ(ftruncate(file_.get(), 0), 0);
  std::array<std::byte, 1> byte{};
  EXPECT_FALSE(IovReader(vecs_).Read(byte));
  EXPECT_FALSE(IovWriter(vecs_).Write(byte));
}

}  // namespace
}  // namespace daxvmm::memory
