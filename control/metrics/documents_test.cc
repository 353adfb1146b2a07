// docs/metrics.md and the dashboard against what is served.
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "control/json_reader.h"
#include "control/metrics/families.h"
#include "control/metrics/testing/example_metrics.h"
#include "control/metrics/testing/exposition_check.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

std::string Content(const char* path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

CheckedExposition Served() {
  FakeController controller;
  FillWithMetrics(&controller);
  MetricsSampler sampler(&controller);
  return CheckExposition(Exposition(MakeFamilies(sampler.Take())));
}

// The names in backquotes of a cell.
std::vector<std::string> Quoted(absl::string_view cell) {
  std::vector<std::string> names;
  const std::vector<absl::string_view> parts = absl::StrSplit(cell, '`');
  for (size_t i = 1; i < parts.size(); i += 2) names.emplace_back(parts[i]);
  return names;
}

TEST(DocumentsTest, TheListNamesWhatIsServedAndNothingElse) {
  std::map<std::string, std::vector<absl::string_view>> documented;
  const std::string text = Content("docs/metrics.md");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "| `daxvmm_") && !absl::StartsWith(line, "| `process_")) continue;
    const std::vector<absl::string_view> cells = absl::StrSplit(line, '|');
    ASSERT_EQ(cells.size(), 7u) << line;
    EXPECT_TRUE(documented.emplace(Quoted(cells[1]).at(0), cells).second) << line;
  }
  const CheckedExposition served = Served();
  for (const auto& [name, family] : served.families) {
    ASSERT_EQ(documented.count(name), 1u) << name << " is not documented";
    const std::vector<absl::string_view>& cells = documented[name];
    EXPECT_EQ(absl::StripAsciiWhitespace(cells[2]), family.type) << name;
    const std::vector<std::string> labels = Quoted(cells[4]);
    EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()), family.labels) << name;
    const absl::string_view unit = absl::StripAsciiWhitespace(cells[3]);
    EXPECT_EQ(absl::StrContains(name, "_bytes"), unit == "bytes") << name;
    EXPECT_EQ(absl::StrContains(name, "_seconds"), unit == "seconds") << name;
  }
  for (const auto& [name, cells] : documented) {
    EXPECT_EQ(served.families.count(name), 1u) << name << " is documented, but not served";
  }
}

void CollectStrings(const JsonValue& value, const std::string& wanted, std::vector<std::string>* found) {
  for (const JsonValue& item : value.items) CollectStrings(item, wanted, found);
  for (const JsonMember& member : value.members) {
    if (member.name == wanted && member.value.kind == JsonValue::Kind::kString) found->push_back(member.value.text);
    CollectStrings(member.value, wanted, found);
  }
}

// The metrics of an expression: its words that are followed by a selector or nothing, by their prefix.
std::vector<std::string> MetricsIn(absl::string_view expression) {
  std::vector<std::string> metrics;
  std::string word;
  for (const char c : std::string(expression) + " ") {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_') {
      word += c;
      continue;
    }
    if (absl::StartsWith(word, "daxvmm_") || absl::StartsWith(word, "process_")) metrics.push_back(word);
    word.clear();
  }
  return metrics;
}

TEST(DocumentsTest, TheDashboardAsksForWhatIsServed) {
  const absl::StatusOr<JsonValue> dashboard = ReadJson(Content("docs/grafana-dashboard.json"));
  ASSERT_TRUE(dashboard.ok()) << dashboard.status();
  std::vector<std::string> expressions;
  CollectStrings(*dashboard, "expr", &expressions);
  EXPECT_GE(expressions.size(), 30u);
  CollectStrings(*dashboard, "query", &expressions);
  const CheckedExposition served = Served();
  std::set<std::string> shown;
  for (const std::string& expression : expressions) {
    if (expression == "prometheus") continue;  // the kind of a data source
    const std::vector<std::string> metrics = MetricsIn(expression);
    EXPECT_FALSE(metrics.empty()) << expression;
    for (const std::string& metric : metrics) {
      std::string family = metric;
      if (served.families.count(family) == 0) {
        for (const char* suffix : {"_bucket", "_sum", "_count"}) {
          absl::string_view base = metric;
          if (!absl::ConsumeSuffix(&base, suffix)) continue;
          const auto found = served.families.find(std::string(base));
          if (found != served.families.end() && found->second.type == "histogram") family = std::string(base);
        }
      }
      ASSERT_EQ(served.families.count(family), 1u) << metric << " in " << expression;
      shown.insert(family);
      // The labels that it selects and sums by exist.
      const bool counter = served.families.at(family).type == "counter" || family != metric;
      EXPECT_EQ(counter, (absl::StrContains(expression, "rate(" + metric) ||
                          absl::StrContains(expression, "increase(" + metric)))
          << expression;
    }
    for (const absl::string_view by : {"share", "operation", "error", "reason", "rule", "decision", "state"}) {
      if (!absl::StrContains(expression, std::string(by) + "=~") || metrics.size() != 1) continue;
      std::string family = metrics[0];
      for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        if (served.families.count(family) == 0) family = std::string(absl::StripSuffix(metrics[0], suffix));
      }
      EXPECT_EQ(served.families.at(family).labels.count(std::string(by)), 1u) << by << " in " << expression;
    }
  }
  EXPECT_GE(shown.size(), 30u);
}

}  // namespace
}  // namespace daxvmm::control
