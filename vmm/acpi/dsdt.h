// The AML of the DSDT: what the guest enumerates as devices, and how it switches off.
#ifndef DAXVMM_VMM_ACPI_DSDT_H_
#define DAXVMM_VMM_ACPI_DSDT_H_

#include "vmm/acpi/aml.h"
#include "vmm/acpi/tables.h"

namespace daxvmm::vmm::acpi {

// The terms of the DSDT, to stand behind its table header. `config` is within the limits of tables.h.
aml::Bytes DsdtTerms(const AcpiConfig& config);

}  // namespace daxvmm::vmm::acpi

#endif  // DAXVMM_VMM_ACPI_DSDT_H_
