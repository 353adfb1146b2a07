// The manual page daxvmm(1).
#ifndef DAXVMM_VMM_RUN_MAN_PAGE_H_
#define DAXVMM_VMM_RUN_MAN_PAGE_H_

#include "base/man_page.h"

namespace daxvmm::vmm {

// With the flags of `daxvmm run` as RunFlags has them.
ManPage RunManPage();

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_RUN_MAN_PAGE_H_
