#include "control/console_log.h"

#include <span>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

constexpr size_t kAll = size_t{1} << 30;

void Write(ConsoleLog* log, const std::string& text) {
  log->Append(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

// Text of which every part is different.
std::string Numbers(size_t size) {
  std::string text;
  for (size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

TEST(ConsoleLogTest, KeepsWhatWasWritten) {
  ConsoleLog log;
  EXPECT_EQ(log.Read(0, kAll).data, "");
  Write(&log, "hello ");
  Write(&log, "world");
  EXPECT_EQ(log.size(), 11u);
  EXPECT_EQ(log.Read(0, kAll).data, "hello world");
  const ConsoleLog::Piece piece = log.Read(6, 3);
  EXPECT_EQ(piece.offset, 6u);
  EXPECT_EQ(piece.data, "wor");
  EXPECT_EQ(log.Read(11, kAll).data, "");
  EXPECT_EQ(log.Read(1000, kAll).offset, 11u);
}

TEST(ConsoleLogTest, KeepsTheLastPartOfMuch) {
  const std::string text = Numbers(3 * ConsoleLog::kCapacity + 777);
  // One byte at a time, as a UART does; in pieces; all at once; and all at once after a few.
  for (const size_t step : {size_t{1}, size_t{1000}, text.size()}) {
    for (const size_t first : {size_t{0}, size_t{10}, size_t{5000}}) {
      ConsoleLog log;
      Write(&log, text.substr(0, first));
      for (size_t at = first; at < text.size(); at += step) Write(&log, text.substr(at, step));
      ASSERT_EQ(log.size(), text.size());
      const ConsoleLog::Piece piece = log.Read(0, kAll);
      EXPECT_EQ(piece.offset, text.size() - ConsoleLog::kCapacity) << "a gap is seen by the offset";
      EXPECT_TRUE(piece.data == text.substr(piece.offset)) << step << " after " << first;
    }
  }
}

TEST(ConsoleLogTest, GrowsWithoutLosingAnything) {
  const std::string text = Numbers(ConsoleLog::kCapacity);
  ConsoleLog log;
  for (size_t at = 0; at < text.size(); at += 3001) {
    Write(&log, text.substr(at, 3001));
    ASSERT_TRUE(log.Read(0, kAll).data == text.substr(0, at + 3001)) << at;
  }
}

TEST(ConsoleLogTest, EndsBehindTheLastByte) {
  ConsoleLog log;
  Write(&log, "abc");
  EXPECT_FALSE(log.Read(0, kAll).ended);
  log.Close();
  EXPECT_FALSE(log.Read(0, 2).ended);
  EXPECT_TRUE(log.Read(0, 3).ended);
  EXPECT_TRUE(log.Read(3, kAll).ended);
}

TEST(ConsoleLogTest, WakesWhoWaits) {
  ConsoleLog log;
  Waker waker;
  log.AddWaker(&waker);
  std::thread guest([&log] {
    for (int i = 0; i < 1000; ++i) Write(&log, "x");
    log.Close();
  });
  uint64_t read = 0;
  for (bool ended = false; !ended;) {
    waker.Await();
    const ConsoleLog::Piece piece = log.Read(read, kAll);
    read += piece.data.size();
    ended = piece.ended;
  }
  EXPECT_EQ(read, 1000u);
  guest.join();
  log.RemoveWaker(&waker);
}

}  // namespace
}  // namespace daxvmm::control
