#include "vmm/acpi/aml.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/log.h"

namespace daxvmm::vmm::acpi::aml {
namespace {

// Opcodes: ACPI 6.4, table 20.2 and 20.3.
constexpr char kZeroOp = 0x00;
constexpr char kOneOp = 0x01;
constexpr char kNameOp = 0x08;
constexpr char kBytePrefix = 0x0a;
constexpr char kWordPrefix = 0x0b;
constexpr char kDWordPrefix = 0x0c;
constexpr char kStringPrefix = 0x0d;
constexpr char kQWordPrefix = 0x0e;
constexpr char kScopeOp = 0x10;
constexpr char kBufferOp = 0x11;
constexpr char kPackageOp = 0x12;
constexpr char kMethodOp = 0x14;
constexpr char kDualNamePrefix = 0x2e;
constexpr char kMultiNamePrefix = 0x2f;
constexpr char kExtOpPrefix = 0x5b;
constexpr char kNotifyOp = static_cast<char>(0x86);
constexpr char kDeviceOp = static_cast<char>(0x82);  // after kExtOpPrefix

void AppendLittleEndian(uint64_t value, size_t bytes, Bytes* out) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

Bytes WithLength(const Bytes& opcode, const Bytes& content) { return opcode + PkgLength(content.size()) + content; }

bool IsNameCharacter(char c, bool first) {
  return absl::ascii_isupper(static_cast<unsigned char>(c)) || c == '_' ||
         (!first && absl::ascii_isdigit(static_cast<unsigned char>(c)));
}

unsigned HexDigit(char c) {
  CHECK(absl::ascii_isxdigit(static_cast<unsigned char>(c))) << "EISA id with '" << c << "'";
  return absl::ascii_isdigit(static_cast<unsigned char>(c)) ? c - '0' : absl::ascii_toupper(c) - 'A' + 10;
}

}  // namespace

Bytes PkgLength(size_t content) {
  // One byte holds 6 bits; otherwise its upper two bits count the bytes that follow and its lower four start the value.
  if (content + 1 < (1u << 6)) return Bytes(1, static_cast<char>(content + 1));
  for (size_t following = 1; following <= 3; ++following) {
    const size_t total = content + 1 + following;
    if (total >= size_t{1} << (4 + 8 * following)) continue;
    Bytes out(1, static_cast<char>(following << 6 | (total & 0xf)));
    AppendLittleEndian(total >> 4, following, &out);
    return out;
  }
  CHECK(false) << "an AML object of " << content << " bytes";
  return {};
}

Bytes NameString(absl::string_view path) {
  Bytes out;
  if (!path.empty() && path.front() == '\\') {
    out.push_back('\\');
    path.remove_prefix(1);
    if (path.empty()) return out + '\0';
  }
  const std::vector<absl::string_view> segments = absl::StrSplit(path, '.');
  CHECK(segments.size() <= 255) << "a path of " << segments.size() << " names";
  if (segments.size() == 2) out.push_back(kDualNamePrefix);
  if (segments.size() > 2) {
    out.push_back(kMultiNamePrefix);
    out.push_back(static_cast<char>(segments.size()));
  }
  for (absl::string_view segment : segments) {
    CHECK(!segment.empty() && segment.size() <= 4) << "the name '" << segment << "'";
    for (size_t i = 0; i < segment.size(); ++i) CHECK(IsNameCharacter(segment[i], i == 0)) << "'" << segment << "'";
    out.append(segment.data(), segment.size());
    out.append(4 - segment.size(), '_');
  }
  return out;
}

Bytes Integer(uint64_t value) {
  if (value == 0) return Bytes(1, kZeroOp);
  if (value == 1) return Bytes(1, kOneOp);
  size_t bytes = 8;
  char prefix = kQWordPrefix;
  if (value <= 0xff) {
    bytes = 1;
    prefix = kBytePrefix;
  } else if (value <= 0xffff) {
    bytes = 2;
    prefix = kWordPrefix;
  } else if (value <= 0xffff'ffff) {
    bytes = 4;
    prefix = kDWordPrefix;
  }
  Bytes out(1, prefix);
  AppendLittleEndian(value, bytes, &out);
  return out;
}

Bytes String(absl::string_view text) {
  for (char c : text) CHECK(c > 0) << "an AML string holds ASCII without NUL";
  Bytes out(1, kStringPrefix);
  out.append(text.data(), text.size());
  out.push_back('\0');
  return out;
}

Bytes EisaId(absl::string_view id) {
  CHECK(id.size() == 7) << "EISA id '" << id << "'";
  // Three letters of five bits each, then four digits, most significant byte first (ACPI 6.4, 19.6.37).
  uint32_t value = 0;
  for (char c : id.substr(0, 3)) {
    CHECK(absl::ascii_isupper(static_cast<unsigned char>(c))) << "EISA id '" << id << "'";
    value = value << 5 | static_cast<uint32_t>(c - 'A' + 1);
  }
  for (char c : id.substr(3)) value = value << 4 | HexDigit(c);
  Bytes out(1, kDWordPrefix);
  AppendLittleEndian(__builtin_bswap32(value), 4, &out);
  return out;
}

Bytes Buffer(absl::string_view content) {
  return WithLength(Bytes(1, kBufferOp), Integer(content.size()) + Bytes(content.data(), content.size()));
}

Bytes Package(const std::vector<Bytes>& elements) {
  CHECK(elements.size() <= 255) << "a package of " << elements.size();
  Bytes content(1, static_cast<char>(elements.size()));
  for (const Bytes& element : elements) content += element;
  return WithLength(Bytes(1, kPackageOp), content);
}

Bytes Name(absl::string_view path, const Bytes& value) { return Bytes(1, kNameOp) + NameString(path) + value; }

Bytes Scope(absl::string_view path, const Bytes& terms) {
  return WithLength(Bytes(1, kScopeOp), NameString(path) + terms);
}

Bytes Device(absl::string_view path, const Bytes& terms) {
  return WithLength(Bytes{kExtOpPrefix, kDeviceOp}, NameString(path) + terms);
}

Bytes Method(absl::string_view path, unsigned arguments, bool serialized, const Bytes& terms) {
  CHECK(arguments <= 7) << "a method with " << arguments << " arguments";
  const char flags = static_cast<char>(arguments | (serialized ? 1u << 3 : 0));
  return WithLength(Bytes(1, kMethodOp), NameString(path) + flags + terms);
}

Bytes Notify(absl::string_view object, uint64_t value) {
  return Bytes(1, kNotifyOp) + NameString(object) + Integer(value);
}

Bytes ResourceTemplate(const Bytes& descriptors) {
  // End tag; a checksum of zero means "not summed".
  return Buffer(descriptors + Bytes{0x79, 0x00});
}

Bytes Memory32Fixed(GuestPhysAddr base, ByteCount size) {
  CHECK(base.raw() <= UINT32_MAX && size.raw() <= UINT32_MAX - base.raw()) << "a 32-bit resource above 4 GiB";
  Bytes out = {static_cast<char>(0x86), 9, 0, 1 /* read-write */};
  AppendLittleEndian(base.raw(), 4, &out);
  AppendLittleEndian(size.raw(), 4, &out);
  return out;
}

Bytes EdgeInterrupt(Gsi gsi) {
  constexpr char kConsumer = 1 << 0;
  constexpr char kEdge = 1 << 1;
  Bytes out = {static_cast<char>(0x89), 6, 0, kConsumer | kEdge, 1 /* interrupt */};
  AppendLittleEndian(gsi.raw(), 4, &out);
  return out;
}

Bytes IoPorts(uint16_t first, uint8_t count) {
  Bytes out = {0x47, 1 /* decodes 16 bits */};
  AppendLittleEndian(first, 2, &out);  // lowest base
  AppendLittleEndian(first, 2, &out);  // highest base
  out.push_back(1);                    // alignment
  out.push_back(static_cast<char>(count));
  return out;
}

}  // namespace daxvmm::vmm::acpi::aml
