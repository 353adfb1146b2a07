// <linux/kvm.h>, made right for C++. Include this, never the kernel's header.
//
// The uapi headers of Linux before 6.7 declare flexible arrays behind an empty struct, which takes a byte in C++:
// sizes, offsets and thereby ioctl numbers come out wrong (kvm_cpuid2 gets 12 bytes in place of 8).
#ifndef DAXVMM_VMM_KVM_KVM_ABI_H_
#define DAXVMM_VMM_KVM_KVM_ABI_H_

#include <linux/stddef.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]  // NOLINT(bugprone-reserved-identifier): replaces the kernel's

#include <linux/kvm.h>

static_assert(sizeof(kvm_cpuid2) == 8 && sizeof(kvm_msrs) == 8);
static_assert(sizeof(kvm_irq_routing) == 8 && sizeof(kvm_signal_mask) == 4);

#endif  // DAXVMM_VMM_KVM_KVM_ABI_H_
