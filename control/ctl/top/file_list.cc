#include "control/ctl/top/file_list.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control/ctl/output.h"
#include "control/ctl/top/figures.h"

namespace daxvmm::control::top {
namespace {

using Order = v1::ListFilesRequest::Order;

// The server gives no more of them on a page.
constexpr uint64_t kMostFiles = 10000;
constexpr int kMinPath = 14;
// The letter, and a space.
constexpr int kLetterColumns = 2;

struct Field {
  const char* heading;
  int width;
  Align align;
  int rank;  // of the fields that have room beside a path, the lowest ranks are shown
  Order order;
  std::string (*text)(const v1::LiveFile& file);
};

std::string ToldText(const v1::LiveFile& file) { return file.has_told_dax() ? YesNo(file.told_dax()) : "?"; }

// A star marks an override.
std::string DaxText(const v1::LiveFile& file) {
  return absl::StrCat(YesNo(file.decision_dax()), file.overridden() ? "*" : "");
}

const std::vector<Field>& Fields() {
  using R = v1::ListFilesRequest;
  static const auto* const kFields = new std::vector<Field>{
      {"SIZE", 6, Align::kRight, 4, R::ORDER_SIZE, [](const auto& f) { return CompactSize(f.size_bytes()); }},
      {"DAX", 4, Align::kLeft, 1, R::ORDER_UNSPECIFIED, &DaxText},
      {"TOLD", 4, Align::kLeft, 6, R::ORDER_UNSPECIFIED, &ToldText},
      {"STATE", 12, Align::kLeft, 5, R::ORDER_UNSPECIFIED,
       [](const auto& f) { return StateText(f.convergence(), f.attributes_left()); }},
      {"OPEN", 4, Align::kLeft, 8, R::ORDER_UNSPECIFIED, [](const auto& f) { return YesNo(f.open()); }},
      {"CHUNKS", 6, Align::kRight, 0, R::ORDER_MAPPED_CHUNKS,
       [](const auto& f) { return CompactCount(f.mapped_chunks()); }},
      {"READS", 6, Align::kRight, 2, R::ORDER_READS, [](const auto& f) { return CompactCount(f.reads()); }},
      {"MAPS", 6, Align::kRight, 3, R::ORDER_SETUP_MAPPINGS,
       [](const auto& f) { return CompactCount(f.setup_mappings()); }},
      {"WRITES", 6, Align::kRight, 9, R::ORDER_UNSPECIFIED, [](const auto& f) { return CompactCount(f.writes()); }},
      {"RULE", 16, Align::kLeft, 7, R::ORDER_UNSPECIFIED, [](const auto& f) { return f.decision_rule(); }},
  };
  return *kFields;
}

// How much path a field of that rank must leave: the last ones are for wide terminals.
int PathBeside(int rank) { return rank >= 7 ? 40 : rank >= 5 ? 24 : kMinPath; }

std::vector<const Field*> Choose(int columns) {
  std::vector<const Field*> by_rank;
  for (const Field& field : Fields()) by_rank.push_back(&field);
  std::sort(by_rank.begin(), by_rank.end(), [](const Field* a, const Field* b) { return a->rank < b->rank; });
  int left = columns - kLetterColumns;
  std::vector<const Field*> chosen;
  for (const Field* field : by_rank) {
    if (left - field->width - 1 < PathBeside(field->rank)) break;
    left -= field->width + 1;
    chosen.push_back(field);
  }
  std::sort(chosen.begin(), chosen.end());  // in the table's order
  return chosen;
}

// The column that the list is sorted by has a mark, in the space before it if it fills its width.
Line Heading(const Scene& scene, const std::vector<const Field*>& fields, int columns) {
  const Style plain{.ink = Ink::kTitle, .reverse = true};
  const Style sorted{.ink = Ink::kTitle, .bold = true, .reverse = true};
  Line line(columns, scene.charset);
  line.Add(" ", plain);
  for (const Field* field : fields) {
    const bool by_this = field->order == scene.view.order;
    const std::string marked = by_this ? absl::StrCat(">", field->heading) : field->heading;
    const bool inside = static_cast<int>(marked.size()) <= field->width;
    line.Add(inside ? " " : ">", inside ? plain : sorted);
    line.Add(Fit(inside ? marked : field->heading, field->width, field->align, scene.charset),
             by_this ? sorted : plain);
  }
  line.Add(" ", plain);
  std::string path = "PATH";
  const Snapshot* const snapshot = scene.model->snapshot();
  if (snapshot != nullptr && line.room() > 20) {
    const uint64_t total = snapshot->files.total;
    absl::StrAppend(&path, " (", total, total == 1 ? " file" : " files", " by ", OrderName(scene.view.order), ")");
  }
  return line.Add(path, plain).Fill(plain);
}

Line Row(const Scene& scene, const v1::LiveFile& file, const std::vector<const Field*>& fields, int columns) {
  Line line(columns, scene.charset);
  const auto letter = scene.model->LetterOf(file.node_id());
  Style style;
  if (letter) style = {.ink = Ink::kFile, .letter = static_cast<uint8_t>(*letter)};
  line.Add(letter ? std::string(1, static_cast<char>('A' + *letter)) : " ",
           {.ink = style.ink, .letter = style.letter, .bold = true});
  line.Add(" ");
  for (const Field* field : fields) {
    line.Add(Fit(Printable(field->text(file), scene.charset), field->width, field->align, scene.charset)).Add(" ");
  }
  return line.Add(CutMiddle(Printable(file.path(), scene.charset), line.room(), scene.charset), style);
}

}  // namespace

Frame FileLines(const Scene& scene, int rows, int columns, ListExtent* list) {
  Frame frame;
  *list = {};
  if (rows <= 0) return frame;
  const std::vector<const Field*> fields = Choose(columns);
  frame.push_back(Heading(scene, fields, columns));
  const Snapshot* const snapshot = scene.model->snapshot();
  if (snapshot == nullptr) return frame;
  const auto& files = snapshot->files;
  *list = {.rows = rows - 1, .files = static_cast<int>(std::min(files.total, kMostFiles))};
  if (!files.error.empty()) {
    frame.push_back(Line(columns, scene.charset).Add("  " + files.error, {.ink = Ink::kBad}));
    return frame;
  }
  const int first = ClampScroll(scene.view.scroll, *list);
  for (int i = first; i < static_cast<int>(files.items.size()) && i - first < list->rows; ++i) {
    frame.push_back(Row(scene, files.items[i], fields, columns));
  }
  if (files.total == 0 && list->rows > 0) {
    frame.push_back(Line(columns, scene.charset).Add("  The guest holds no regular file of this share."));
  }
  return frame;
}

}  // namespace daxvmm::control::top
