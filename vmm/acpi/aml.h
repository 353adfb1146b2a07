// Encoders for the little AML that a machine's DSDT needs (ACPI 6.4, chapter 20).
//
// Every function returns finished AML bytes; lists of terms are made by joining them with +. Pure and thread-safe.
// What goes in is the VMM's own: a malformed name is a bug and CHECK-fails.
#ifndef DAXVMM_VMM_ACPI_AML_H_
#define DAXVMM_VMM_ACPI_AML_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"

namespace daxvmm::vmm::acpi::aml {

using Bytes = std::string;

// The length field in front of `content` bytes; it counts itself (ACPI 6.4, 20.2.4). Content below 2^28 - 4 bytes.
Bytes PkgLength(size_t content);

// A path such as "COM1", "\\_SB.PWRB" or "\\": an optional root, then segments of one to four of A-Z, 0-9 and _, padded
// with _ (20.2.2).
Bytes NameString(absl::string_view path);

// Data objects (20.2.3).
Bytes Integer(uint64_t value);         // in the shortest form
Bytes String(absl::string_view text);  // ASCII without NUL
Bytes EisaId(absl::string_view id);    // "PNP0501": three letters and four hexadecimal digits
Bytes Buffer(absl::string_view content);
Bytes Package(const std::vector<Bytes>& elements);  // at most 255

// Named objects (20.2.5).
Bytes Name(absl::string_view path, const Bytes& value);
Bytes Scope(absl::string_view path, const Bytes& terms);
Bytes Device(absl::string_view path, const Bytes& terms);
// `arguments` is 0 to 7.
Bytes Method(absl::string_view path, unsigned arguments, bool serialized, const Bytes& terms);
Bytes Notify(absl::string_view object, uint64_t value);

// A _CRS value: the descriptors below, joined, with their end tag (6.4.2.9).
Bytes ResourceTemplate(const Bytes& descriptors);
// Read-write; base + size within 4 GiB (6.4.3.4).
Bytes Memory32Fixed(GuestPhysAddr base, ByteCount size);
// Consumer, edge-triggered, active-high, exclusive (6.4.3.6).
Bytes EdgeInterrupt(Gsi gsi);
// Ports [first, first + count), decoded with 16 bits (6.4.2.5).
Bytes IoPorts(uint16_t first, uint8_t count);

}  // namespace daxvmm::vmm::acpi::aml

#endif  // DAXVMM_VMM_ACPI_AML_H_
