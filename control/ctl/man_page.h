// The manual page daxvmmctl(1).
#ifndef DAXVMM_CONTROL_CTL_MAN_PAGE_H_
#define DAXVMM_CONTROL_CTL_MAN_PAGE_H_

#include "base/man_page.h"

namespace daxvmm::control {

// From the tables of commands and flags.
ManPage CtlManPage();

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_MAN_PAGE_H_
