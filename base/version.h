// The release that this tree becomes.
#ifndef DAXVMM_BASE_VERSION_H_
#define DAXVMM_BASE_VERSION_H_

namespace daxvmm {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace daxvmm

#endif  // DAXVMM_BASE_VERSION_H_
