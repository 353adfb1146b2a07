#include "tools/policy_lab/trace.h"

#include "gtest/gtest.h"
#include "tools/policy_lab/workloads.h"

namespace daxvmm::lab {
namespace {

TEST(TraceTest, ReadsWhatItDocuments) {
  const absl::StatusOr<Trace> trace = ParseTrace("t", R"(# a comment
file data 4194304
file model 8388608 huge   # backed by huge pages
open data
read data 0 4096
write data 4096 8192
touch model 0 65536
stat data
think 1500
close data
unlink data
)");
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(trace->files, (std::vector<TraceFile>{{4194304, false}, {8388608, true}}));
  const std::vector<Op> expected = {
      {OpKind::kOpen, 0},
      {OpKind::kRead, 0, 0, 4096},
      {OpKind::kWrite, 0, 4096, 8192},
      {OpKind::kTouch, 1, 0, 65536},
      {OpKind::kStat, 0},
      {OpKind::kThink, 0, 0, 1'500'000},
      {OpKind::kClose, 0},
      {OpKind::kUnlink, 0},
  };
  EXPECT_EQ(trace->ops, expected);
}

TEST(TraceTest, EveryWorkloadSurvivesItsText) {
  for (const WorkloadName& workload : kWorkloads) {
    const std::optional<Trace> trace = MakeWorkload(workload.name, {.length_percent = 1});
    ASSERT_TRUE(trace.has_value()) << workload.name;
    const absl::StatusOr<Trace> again = ParseTrace(workload.name, FormatTrace(*trace));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->files, trace->files) << workload.name;
    EXPECT_EQ(again->ops, trace->ops) << workload.name;
  }
}

TEST(TraceTest, EveryPrefixIsReadOrRefused) {
  const std::string text = "file a 4096 huge\nopen a\nread a 0 4096\nthink 5\nclose a\n";
  for (size_t n = 0; n <= text.size(); ++n) ParseTrace("t", text.substr(0, n)).status().IgnoreError();
}

TEST(TraceTest, RefusesWithTheLine) {
  struct Case {
    const char* text;
    const char* message;
  };
  for (const Case& c : {
           Case{"open a\n", "line 1: no such file"},
           Case{"file a 1\nfile a 2\n", "line 2: file named twice"},
           Case{"\nfile a\n", "line 2: expected: file NAME BYTES [huge]"},
           Case{"file a -1\n", "line 1: expected: file NAME BYTES [huge]"},
           Case{"file a 1 hug\n", "line 1: expected: file NAME BYTES [huge]"},
           Case{"file a 1\nread a 0\n", "line 2: wrong number of words after read"},
           Case{"file a 1\nread a 0 99999999999999999999\n", "line 2: expected an offset and a length"},
           Case{"file a 1\nread a 1099511627776 1\n", "line 2: expected an offset and a length"},
           Case{"think\n", "line 1: expected: think MICROSECONDS"},
           Case{"think 99999999999999\n", "line 1: expected: think MICROSECONDS"},
           Case{"jump a\n", "line 1: unknown operation \"jump\""},
       }) {
    const absl::StatusOr<Trace> trace = ParseTrace("t", c.text);
    ASSERT_FALSE(trace.ok()) << c.text;
    EXPECT_EQ(trace.status().message(), c.message);
  }
}

}  // namespace
}  // namespace daxvmm::lab
