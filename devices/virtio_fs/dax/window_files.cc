// The part of Window that knows which files are mapped; see window.h.
#include "base/log.h"
#include "devices/virtio_fs/dax/window.h"

namespace daxvmm::dax {

MappedFile& Window::EnterFileLocked(NodeId node, const Opened& opened, bool writable) {
  const auto [by_inode, is_new] = file_of_inode_.try_emplace({opened.device, opened.inode});
  if (is_new) by_inode->second = MappedFileId(++last_file_id_);
  MappedFile& file = files_[by_inode->second];
  if (is_new) {
    file.id = by_inode->second;
    file.device = opened.device;
    file.inode = opened.inode;
    file.fd = opened.fd;
    file.writable = writable;
    if (watch_ != nullptr) {
      // Before its size is looked at: what happens to it from here on is an event.
      file.watch = watch_->Add(opened.fd->get());
      watch_->SetActive(true);
    }
    if (file.watch != kNoWatch) file_of_watch_[file.watch] = file.id;
  } else if (writable && !file.writable) {
    file.fd = opened.fd;
    file.writable = true;
  }
  file.node = node;
  // A node id may come back for another file while mappings of the old one are still there.
  const auto old = file_of_node_.find(node);
  if (old != file_of_node_.end() && old->second != file.id) files_.at(old->second).nodes.erase(node);
  file_of_node_[node] = file.id;
  file.nodes.insert(node);
  told_.Enter(node, file.belief);
  return file;
}

void Window::ReleasePagesLocked(std::span<const TableEntry> taken, WindowAccount::Loss how) {
  std::unordered_set<NodeId> nodes;
  for (const TableEntry& entry : taken) {
    const auto file = files_.find(entry.file);
    const uint64_t pages = entry.range.length.raw() / kPageSize.raw();
    CHECK(file != files_.end() && file->second.pages >= pages) << "the window's page counts are wrong";
    file->second.pages -= pages;
    nodes.insert(entry.node);
    DropFileIfUnmappedLocked(entry.file);
  }
  for (const NodeId node : nodes) {
    const uint32_t chunks_left = table_.ChunksOf(node);
    account_.NodeLost(node, chunks_left, how);
    if (chunks_left == 0) DropNodeLocked(node);
  }
}

void Window::DropNodeLocked(NodeId node) {
  const auto by_node = file_of_node_.find(node);
  if (by_node == file_of_node_.end()) return;
  MappedFile& file = files_.at(by_node->second);
  told_.Leave(node, file.belief.get());
  file.nodes.erase(node);
  file_of_node_.erase(by_node);
}

void Window::DropFileIfUnmappedLocked(MappedFileId id) {
  const auto it = files_.find(id);
  if (it == files_.end() || it->second.pages != 0) return;
  const MappedFile& file = it->second;
  if (file.watch != kNoWatch) {
    if (watch_ != nullptr) watch_->Remove(file.watch);
    file_of_watch_.erase(file.watch);
  }
  for (const NodeId node : file.nodes) {
    told_.Leave(node, file.belief.get());
    file_of_node_.erase(node);
  }
  file_of_inode_.erase({file.device, file.inode});
  files_.erase(it);
  if (files_.empty() && watch_ != nullptr) watch_->SetActive(false);
}

void Window::RepairLocked(const WindowRange& range) {
  std::vector<MappedFileId> ids;
  table_.ForEach([&](const TableEntry& entry) {
    if (entry.range.at < range.end() && range.at < entry.range.end()) ids.push_back(entry.file);
  });
  for (const MappedFileId id : ids) {
    MappedFile& file = files_.at(id);
    file.in_doubt = true;
    RefreshLocked(file);
  }
}

}  // namespace daxvmm::dax
