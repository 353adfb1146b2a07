#include "devices/virtio_fs/fs/share_option_text.h"

#include <linux/fs.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace daxvmm::fs {
namespace {

template <typename T>
struct Choice {
  absl::string_view text;
  T value;
};

constexpr Choice<CacheMode> kCacheModes[] = {{"auto", CacheMode::kAuto},
                                             {"always", CacheMode::kAlways},
                                             {"never", CacheMode::kNever},
                                             {"metadata", CacheMode::kMetadata}};
constexpr Choice<DaxHintStore> kHintStores[] = {{"auto", DaxHintStore::kAuto},
                                                {"trusted", DaxHintStore::kTrustedXattr},
                                                {"user", DaxHintStore::kUserXattr},
                                                {"host", DaxHintStore::kHostFlag},
                                                {"memory", DaxHintStore::kMemory}};

// The letters of chattr(1). What a file system keeps for itself (such as e, extents) is not there to be set.
constexpr std::pair<char, uint32_t> kFlagLetters[] = {
    {'a', FS_APPEND_FL},      {'A', FS_NOATIME_FL}, {'c', FS_COMPR_FL},     {'C', FS_NOCOW_FL},
    {'d', FS_NODUMP_FL},      {'D', FS_DIRSYNC_FL}, {'i', FS_IMMUTABLE_FL}, {'j', FS_JOURNAL_DATA_FL},
    {'P', FS_PROJINHERIT_FL}, {'S', FS_SYNC_FL},    {'T', FS_TOPDIR_FL}};

// More would overflow the client's arithmetic, and means "for ever" to anybody.
constexpr int64_t kMaxTimeoutSeconds = int64_t{365} * 24 * 60 * 60;

template <typename T, size_t N>
absl::Status Choose(absl::string_view text, const Choice<T> (&choices)[N], T* value) {
  const auto* found = std::ranges::find(choices, text, &Choice<T>::text);
  if (found != std::end(choices)) {
    *value = found->value;
    return absl::OkStatus();
  }
  std::string names;
  for (const Choice<T>& choice : choices) absl::StrAppend(&names, names.empty() ? "" : ", ", choice.text);
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not one of ", names));
}

absl::Status SetTimeout(absl::string_view text, std::optional<absl::Duration>* value) {
  double seconds = 0;
  if (!absl::SimpleAtod(text, &seconds) || !(seconds >= 0 && seconds <= kMaxTimeoutSeconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not a number of seconds from 0 to ", kMaxTimeoutSeconds));
  }
  *value = absl::Seconds(seconds);
  return absl::OkStatus();
}

absl::Status AddIdRange(absl::string_view text, IdMap* map) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  uint32_t numbers[3];
  bool good = parts.size() == 3;
  for (size_t i = 0; good && i < 3; ++i) good = absl::SimpleAtoi(parts[i], &numbers[i]);
  if (!good) return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not GUEST:HOST:COUNT"));
  return map->AddRange(numbers[0], numbers[1], numbers[2]);
}

absl::Status SetSquash(absl::string_view text, IdMap* map) {
  uint32_t id = 0;
  if (!absl::SimpleAtoi(text, &id)) return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not an id"));
  return map->SetSquash(id);
}

absl::Status SetFlagLetters(absl::string_view text, uint32_t* flags) {
  uint32_t wanted = 0;
  for (const char letter : text) {
    const auto* found = std::ranges::find(kFlagLetters, letter, &std::pair<char, uint32_t>::first);
    if (found == std::end(kFlagLetters)) {
      std::string letters;
      for (const auto& [known, flag] : kFlagLetters) letters += known;
      return absl::InvalidArgumentError(absl::StrCat("'", std::string(1, letter), "' is not one of ", letters));
    }
    wanted |= found->second;
  }
  *flags = wanted;
  return absl::OkStatus();
}

absl::Status SetBound(absl::string_view text, uint64_t* value) {
  constexpr uint64_t kLeast = 16;
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < kLeast) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a number of at least ", kLeast));
  }
  *value = number;
  return absl::OkStatus();
}

struct Option {
  absl::string_view name;
  absl::string_view value;  // how help shows it; empty: it takes none
  absl::string_view help;
  absl::Status (*apply)(absl::string_view value, ShareOptions* options);
};

template <auto kMember, bool kValue>
absl::Status SetBool(absl::string_view /*value*/, ShareOptions* options) {
  options->*kMember = kValue;
  return absl::OkStatus();
}

constexpr Option kOptions[] = {
    {"readonly", "", "the guest cannot change anything in it", SetBool<&ShareOptions::read_only, true>},
    {"cache", "MODE",
     "what the guest may keep: auto (names and attributes for a second, data while\n"
     "the file is unchanged), always (everything: nobody else changes the share),\n"
     "never, metadata (as always, but no data). Default: auto",
     [](absl::string_view v, ShareOptions* o) { return Choose(v, kCacheModes, &o->cache); }},
    {"attr-timeout", "SECONDS", "how long attributes may be trusted. Default: by cache: 1, a day, 0, a day",
     [](absl::string_view v, ShareOptions* o) { return SetTimeout(v, &o->attr_timeout); }},
    {"entry-timeout", "SECONDS", "how long names may be trusted. Default: as attr-timeout's",
     [](absl::string_view v, ShareOptions* o) { return SetTimeout(v, &o->entry_timeout); }},
    {"writeback", "", "the guest collects writes, and keeps size and mtime itself.\nNot with a DAX window",
     SetBool<&ShareOptions::writeback, true>},
    {"uid-map", "GUEST:HOST:COUNT",
     "COUNT uids of the guest, from GUEST on, are the host's from HOST on; the rest\n"
     "has no access to what it would have to own. May be given again",
     [](absl::string_view v, ShareOptions* o) { return AddIdRange(v, &o->uid_map); }},
    {"gid-map", "GUEST:HOST:COUNT", "the same for gids",
     [](absl::string_view v, ShareOptions* o) { return AddIdRange(v, &o->gid_map); }},
    {"uid-squash", "HOST", "every uid that no uid-map holds is the host's HOST",
     [](absl::string_view v, ShareOptions* o) { return SetSquash(v, &o->uid_map); }},
    {"gid-squash", "HOST", "the same for gids",
     [](absl::string_view v, ShareOptions* o) { return SetSquash(v, &o->gid_map); }},
    {"no-xattr", "", "no extended attributes", SetBool<&ShareOptions::xattr, false>},
    {"no-acl", "", "no POSIX ACLs", SetBool<&ShareOptions::posix_acl, false>},
    {"xattr-map", "RULE",
     "a rule on names of extended attributes, the first that matches counts:\n"
     "allow:PREFIX, deny:PREFIX, unsupported:PREFIX, map:GUESTPREFIX:HOSTPREFIX.\n"
     "May be given again. Default: all pass",
     [](absl::string_view v, ShareOptions* o) { return o->xattr_map.AddRule(v); }},
    {"announce-submounts", "", "a mount below the share is a mount of its own in the guest",
     SetBool<&ShareOptions::announce_submounts, true>},
    {"dax-hint", "STORE",
     "where chattr +x of the guest is kept: trusted or user (an extended attribute),\n"
     "host (the host inode's own flag), memory (until the machine ends), auto.\n"
     "Default: auto (the first of trusted, user, memory that works)",
     [](absl::string_view v, ShareOptions* o) { return Choose(v, kHintStores, &o->dax_hint_store); }},
    {"settable-flags", "LETTERS",
     "inode flags, as chattr writes them, that the guest may change on the host:\n"
     "any of aAcCdDijPST",
     [](absl::string_view v, ShareOptions* o) { return SetFlagLetters(v, &o->settable_flags); }},
    {"max-nodes", "N", "how many inodes the guest may hold. Default: 1048576 where file handles work",
     [](absl::string_view v, ShareOptions* o) { return SetBound(v, &o->max_nodes); }},
    {"max-descriptors", "N", "how many descriptors the share may hold. Default: its part of RLIMIT_NOFILE",
     [](absl::string_view v, ShareOptions* o) { return SetBound(v, &o->max_descriptors); }},
};

}  // namespace

absl::Status ApplyShareOption(absl::string_view text, ShareOptions* options) {
  const size_t equals = text.find('=');
  const absl::string_view name = text.substr(0, equals);
  const auto* option = std::ranges::find(kOptions, name, &Option::name);
  if (option == std::end(kOptions)) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is no option of a share"));
  }
  const bool has_value = equals != absl::string_view::npos;
  if (has_value != !option->value.empty()) {
    return absl::InvalidArgumentError(has_value ? absl::StrCat(name, ": takes no value")
                                                : absl::StrCat(name, ": needs a value: ", name, "=", option->value));
  }
  const absl::Status status = option->apply(has_value ? text.substr(equals + 1) : "", options);
  return status.ok() ? status : absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
}

std::string DescribeShareOptions() {
  constexpr size_t kColumn = 26;
  std::string text;
  for (const Option& option : kOptions) {
    std::string head = option.value.empty() ? std::string(option.name) : absl::StrCat(option.name, "=", option.value);
    head.resize(std::max(head.size() + 1, kColumn), ' ');
    bool first = true;
    for (const absl::string_view line : absl::StrSplit(option.help, '\n')) {
      absl::StrAppend(&text, first ? head : std::string(kColumn, ' '), line, "\n");
      first = false;
    }
  }
  return text;
}

}  // namespace daxvmm::fs
