#include "vmm/share_lists.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "control/file_query.h"

namespace daxvmm::vmm {
namespace {

control::LiveFile ToControl(const std::string& tag, virtio_fs::LiveFile file) {
  control::LiveFile out;
  out.share_tag = tag;
  out.node_id = file.node.raw();
  out.path = std::move(file.path);
  out.size = file.size;
  out.decision_dax = file.report.policy.dax;
  out.decision_rule = std::move(file.report.policy.rule);
  out.reason = std::move(file.report.policy.reason);
  out.overridden = file.report.policy.overridden;
  out.told_dax = file.report.told_dax;
  out.told_generation = file.report.told_generation;
  out.convergence = file.report.convergence.what;
  out.attributes_left = file.report.convergence.attributes_left;
  out.open = file.open;
  out.mapped_chunks = file.use.chunks;
  out.setup_mappings = file.report.setup_mappings;
  out.unmaps = file.use.unmaps;
  out.reads = file.reads;
  out.writes = file.writes;
  out.mapped_against_policy = file.report.against_policy;
  return out;
}

// Of things with a share's tag and a path.
constexpr auto kBySharePath = [](const auto& a, const auto& b) {
  return std::tie(a.share_tag, a.path, a.node_id) < std::tie(b.share_tag, b.path, b.node_id);
};

// The device's clock is a steady one: what it said is as far back from now as it was then.
absl::Time WallClock(std::chrono::steady_clock::time_point at, std::chrono::steady_clock::time_point now) {
  return absl::Now() - absl::FromChrono(now - at);
}

}  // namespace

std::vector<control::LiveFile> ListFilesOf(Devices devices) {
  std::vector<control::LiveFile> files;
  for (const virtio_fs::VirtioFsDevice* device : devices) {
    for (virtio_fs::LiveFile& file : device->ListFiles()) {
      files.push_back(ToControl(device->tag(), std::move(file)));
    }
  }
  std::ranges::sort(files, kBySharePath);
  return files;
}

control::FilePage QueryFilesOf(Devices devices, const control::FileQuery& query) {
  control::FileSelector selector(query);
  for (const virtio_fs::VirtioFsDevice* device : devices) {
    const std::string& tag = device->tag();
    device->VisitFiles([&](const virtio_fs::LiveFileGlance& file) {
      selector.Look({.share_tag = tag,
                     .node_id = file.node.raw(),
                     .decision_dax = file.state.dax,
                     .overridden = file.state.overridden,
                     .told_dax = file.state.told_dax,
                     .convergence = file.state.convergence.what,
                     .open = file.open,
                     .mapped_chunks = file.mapped_chunks,
                     .setup_mappings = file.state.setup_mappings,
                     .reads = file.reads,
                     .size = file.state.size.raw(),
                     .path = file.path});
    });
  }
  const auto find = [devices](const control::FileQuery::Place& place) -> std::optional<control::LiveFile> {
    const auto device = std::ranges::find_if(devices, [&](const auto* one) { return one->tag() == place.share_tag; });
    std::optional<virtio_fs::LiveFile> file = (*device)->FindFile(NodeId(place.node_id));
    if (!file.has_value()) return std::nullopt;
    return ToControl(place.share_tag, *std::move(file));
  };
  return control::MakePage(query, &selector, find);
}

control::PolicyPreview ComparePolicyOf(Devices devices, const dax::PolicySnapshot& candidate, size_t limit) {
  control::PolicyPreview preview;
  for (const virtio_fs::VirtioFsDevice* device : devices) {
    preview.live += device->ComparePolicy(candidate, [&](const virtio_fs::ChangedFile& file) {
      ++(file.would_be_dax ? preview.gaining : preview.losing);
      if (limit == 0) return;
      // A heap of the first ones, with the last of them on top.
      control::PolicyPreview::File changed{.share_tag = device->tag(),
                                           .path = file.path(),
                                           .node_id = file.node.raw(),
                                           .dax = file.would_be_dax,
                                           .rule = file.rule};
      if (preview.files.size() >= limit) {
        if (!kBySharePath(changed, preview.files.front())) return;
        std::ranges::pop_heap(preview.files, kBySharePath);
        preview.files.pop_back();
      }
      preview.files.push_back(std::move(changed));
      std::ranges::push_heap(preview.files, kBySharePath);
    });
  }
  std::ranges::sort_heap(preview.files, kBySharePath);
  return preview;
}

absl::StatusOr<control::MappingPage> QueryMappingsOf(std::vector<const virtio_fs::VirtioFsDevice*> devices,
                                                     const control::MappingQuery& query) {
  std::ranges::sort(devices, {}, &virtio_fs::VirtioFsDevice::tag);
  std::optional<NodeId> node;
  bool known = true;
  if (query.file.has_value() && !devices.empty()) {
    const virtio_fs::VirtioFsDevice& of = *devices.front();
    if (const auto* const id = std::get_if<uint64_t>(&*query.file); id != nullptr) {
      node = NodeId(*id);
    } else {
      node = of.NodeAt(std::get<std::string>(*query.file));
    }
    known = node.has_value() && of.IsLive(*node);
  }
  control::MappingPage page;
  for (const virtio_fs::VirtioFsDevice* device : devices) {
    const dax::Window* const window = device->window();
    if (window == nullptr || (query.file.has_value() && !node.has_value())) continue;
    const std::string& tag = device->tag();
    const auto now = window->Now();
    for (const dax::TableEntry& entry : window->Mappings()) {
      if (node.has_value() && entry.node != *node) continue;
      ++page.total;
      const WindowOffset at = entry.range.at;
      if (query.after && std::tie(tag, at) <= std::tie(query.after->share_tag, query.after->at)) continue;
      if (page.mappings.size() >= query.limit) {
        page.more = true;
        continue;
      }
      page.mappings.push_back({.share_tag = tag,
                               .at = at,
                               .length = entry.range.length,
                               .guest_address = *device->window_base() + ByteCount(at.raw()),
                               .node_id = entry.node.raw(),
                               .path = device->PathOf(entry.node),
                               .from = entry.from,
                               .writable = entry.protection == memory::Protection::kReadWrite,
                               .policy_generation = entry.policy_generation,
                               .mapped_at = WallClock(entry.mapped_at, now)});
    }
  }
  if (!known && page.total == 0) {
    return WithReason(
        absl::NotFoundError(absl::StrCat("file: the guest holds none of that name in share '", query.share_tag, "'")),
        "FILE_NOT_FOUND", {{"share", query.share_tag}});
  }
  return page;
}

}  // namespace daxvmm::vmm
