// CRC-32C (Castagnoli), as iSCSI and ext4 use it: finds every change of up to 32 bits in a row.
#ifndef DAXVMM_BASE_CRC32C_H_
#define DAXVMM_BASE_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace daxvmm {

// Of all of `bytes`; 0 for none.
uint32_t Crc32c(absl::string_view bytes);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_CRC32C_H_
