#include "control/metrics/testing/exposition_check.h"

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

bool IsName(absl::string_view text, bool colons) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_' && !(colons && c == ':')) return false;
  }
  return true;
}

std::optional<double> Number(absl::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  if (text == "NaN" || text == "Nan") return std::nan("");
  double value = 0;
  if (!absl::SimpleAtod(text, &value)) return std::nullopt;
  return value;
}

// The labels of "{...}", which is taken off `rest`; nullopt if they are malformed.
std::optional<Labels> TakeLabels(absl::string_view* rest) {
  Labels labels;
  if (!absl::ConsumePrefix(rest, "{")) return labels;
  while (!absl::ConsumePrefix(rest, "}")) {
    const size_t equals = rest->find("=\"");
    if (equals == absl::string_view::npos || !IsName(rest->substr(0, equals), false)) return std::nullopt;
    std::string name(rest->substr(0, equals)), value;
    rest->remove_prefix(equals + 2);
    for (;;) {
      if (rest->empty()) return std::nullopt;
      const char c = rest->front();
      rest->remove_prefix(1);
      if (c == '"') break;
      if (c != '\\') {
        value += c;
        continue;
      }
      if (absl::ConsumePrefix(rest, "n")) {
        value += '\n';
      } else if (absl::ConsumePrefix(rest, "\\") || absl::ConsumePrefix(rest, "\"")) {
        value += rest->data()[-1];
      } else {
        return std::nullopt;
      }
    }
    labels.emplace_back(std::move(name), std::move(value));
    if (!absl::ConsumePrefix(rest, ",") && !absl::StartsWith(*rest, "}")) return std::nullopt;
  }
  return labels;
}

struct Histogram {
  std::vector<std::pair<double, double>> buckets;  // bound, count
  std::optional<double> count, sum;
};

class Checker {
 public:
  void Line(absl::string_view line) {
    if (absl::StartsWith(line, "# HELP ")) {
      Help(line.substr(7));
    } else if (absl::StartsWith(line, "# TYPE ")) {
      Type(line.substr(7));
    } else if (!line.empty() && line[0] != '#') {
      Sample(line);
    }
  }

  CheckedExposition Finish() {
    for (const auto& [series, histogram] : histograms_) CheckHistogram(series, histogram);
    for (const auto& [name, family] : out_.families) {
      if (family.type.empty()) Problem(name, "has no TYPE");
      if (family.help.empty()) Problem(name, "has no HELP");
      if (family.type == "counter" && !absl::EndsWith(name, "_total")) Problem(name, "a counter without _total");
      if (family.type != "counter" && absl::EndsWith(name, "_total")) Problem(name, "_total, but no counter");
      for (const char* suffix : {"_milliseconds", "_microseconds", "_ms", "_kilobytes", "_megabytes", "_percent"}) {
        if (absl::StrContains(name, suffix)) Problem(name, "has no base unit");
      }
    }
    return std::move(out_);
  }

 private:
  void Problem(absl::string_view what, absl::string_view why) {
    out_.problems.push_back(absl::StrCat(what, ": ", why));
  }

  // A family begins with its HELP or TYPE, and all of it stands together.
  CheckedFamily& Enter(const std::string& name) {
    if (name != current_) {
      if (out_.families.count(name) != 0) Problem(name, "is in two places");
      current_ = name;
    }
    return out_.families[name];
  }

  void Help(absl::string_view rest) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(rest, absl::MaxSplits(' ', 1));
    CheckedFamily& family = Enter(parts.first);
    if (!family.help.empty()) Problem(parts.first, "has two HELPs");
    if (family.samples != 0) Problem(parts.first, "HELP behind samples");
    family.help = parts.second;
  }

  void Type(absl::string_view rest) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(rest, absl::MaxSplits(' ', 1));
    if (!IsName(parts.first, true)) Problem(parts.first, "is no name");
    CheckedFamily& family = Enter(parts.first);
    if (!family.type.empty()) Problem(parts.first, "has two TYPEs");
    if (family.samples != 0) Problem(parts.first, "TYPE behind samples");
    if (parts.second != "counter" && parts.second != "gauge" && parts.second != "histogram") {
      Problem(parts.first, "has a type that is not used here");
    }
    family.type = parts.second;
  }

  void Sample(absl::string_view line) {
    const size_t end = line.find_first_of("{ ");
    const std::string name(line.substr(0, end));
    if (end == absl::string_view::npos || !IsName(name, true)) return Problem(line, "is no sample");
    absl::string_view rest = line.substr(end);
    const std::optional<Labels> labels = TakeLabels(&rest);
    if (!labels.has_value()) return Problem(line, "has malformed labels");
    const std::string series(line.substr(0, line.size() - rest.size()));
    if (!absl::ConsumePrefix(&rest, " ")) return Problem(line, "has no blank in front of its value");
    const std::optional<double> value = Number(rest);
    if (!value.has_value()) return Problem(line, "has no value");
    if (!out_.samples.emplace(series, *value).second) Problem(series, "comes twice");
    if (EscapeNonUtf8(line) != line) Problem(series, "is not UTF-8");
    if (std::isnan(*value)) Problem(series, "is not a number");

    std::string of = name;
    if (out_.families.count(of) == 0) {
      for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        absl::string_view base = name;
        if (absl::ConsumeSuffix(&base, suffix) && out_.families.count(std::string(base)) != 0) of = std::string(base);
      }
    }
    if (of != current_) return Problem(series, "stands outside of its family, or has none");
    CheckedFamily& family = out_.families[of];
    ++family.samples;
    std::string others = of;
    std::optional<double> bound;
    std::set<std::string> seen;
    for (const auto& [label, text] : *labels) {
      if (!seen.insert(label).second) Problem(series, "has a label twice");
      if (absl::StartsWith(label, "__")) Problem(series, "has a reserved label");
      if (label == "le" && family.type == "histogram") {
        bound = Number(text);
      } else {
        absl::StrAppend(&others, "|", label, "=", text);
        family.labels.insert(label);
      }
    }
    if (family.type == "counter" && (*value < 0 || std::isinf(*value))) Problem(series, "is no count");
    if (family.type == "histogram") {
      Histogram& histogram = histograms_[others];
      if (name == of + "_bucket" && bound.has_value()) {
        histogram.buckets.emplace_back(*bound, *value);
      } else if (name == of + "_sum") {
        histogram.sum = *value;
      } else if (name == of + "_count") {
        histogram.count = *value;
      } else {
        Problem(series, "is no part of a histogram");
      }
    } else if (name != of) {
      Problem(series, "has a suffix of a histogram");
    }
  }

  void CheckHistogram(const std::string& series, const Histogram& histogram) {
    if (histogram.buckets.empty() || !std::isinf(histogram.buckets.back().first)) return Problem(series, "has no +Inf");
    for (size_t i = 1; i < histogram.buckets.size(); ++i) {
      if (histogram.buckets[i].first <= histogram.buckets[i - 1].first) Problem(series, "has bounds that do not grow");
      if (histogram.buckets[i].second < histogram.buckets[i - 1].second) Problem(series, "is not cumulative");
    }
    if (histogram.count != histogram.buckets.back().second) Problem(series, "has a count that is not that of +Inf");
    if (!histogram.sum.has_value() || *histogram.sum < 0) Problem(series, "has no sum");
  }

  CheckedExposition out_;
  std::string current_;
  std::map<std::string, Histogram> histograms_;
};

}  // namespace

CheckedExposition CheckExposition(absl::string_view text) {
  Checker checker;
  const bool ended = absl::ConsumeSuffix(&text, "\n");
  for (const absl::string_view line : absl::StrSplit(text, '\n')) checker.Line(line);
  CheckedExposition checked = checker.Finish();
  if (!ended) checked.problems.push_back("the last line does not end");
  return checked;
}

}  // namespace daxvmm::control
