#include "vmm/run_man_page.h"

#include "vmm/run_options.h"

namespace daxvmm::vmm {

ManPage RunManPage() {
  RunOptions unused;
  return {
      .name = "daxvmm",
      .summary = "boots Linux in a microVM that maps shared files per file",
      .synopsis = {"daxvmm run --kernel FILE [FLAG ...]", "daxvmm --version", "daxvmm --help"},
      .sections =
          {{.title = "DESCRIPTION",
            .text =
                R"(Boots a Linux guest on KVM whose directories of the host come by virtio-fs. A share may have a DAX
window: files that a policy allows are mapped into the guest instead of being copied to it, each file by itself, and the
policy can be asked for and changed while the guest runs; see daxvmmctl(1).

The guest's console is this terminal: Ctrl-A x ends the guest, Ctrl-A Ctrl-A types Ctrl-A.
)"},
           {.title = "FLAGS",
            .text = "Sizes are bytes, or have a suffix K, M, G or T (powers of 1024).",
            .items = ManItems(RunFlags(&unused))},
           {.title = "SIGNALS",
            .items =
                {{"SIGTERM, SIGINT, SIGHUP",
                  "The guest is asked to power off, and ended after --shutdown-timeout; a second one ends it at once."},
                 {"SIGUSR1", "Says on standard error where the virtual CPUs are."}}},
           {.title = "EXIT STATUS",
            .items = {{"0", "The guest powered off."},
                      {"1", "The host failed."},
                      {"2", "A flag is wrong."},
                      {"3", "The guest asked for a reboot."},
                      {"4", "The guest's kernel panicked."},
                      {"5", "The guest touched memory that has nothing behind it, or crashed its processor."},
                      {"6", "Ended by Ctrl-A x, by a signal or by a call before the guest had powered off."}}},
           {.title = "EXAMPLES", .text = R"(  daxvmm run --kernel vmlinuz --initrd initramfs.img --cpus 2 --mem 512M \
      --share path=/srv/data,tag=data,dax-window=1G --control /run/vm.sock
  guest#  mount -t virtiofs data /mnt
  host$   daxvmmctl --control /run/vm.sock files
)"},
           {.title = "SEE ALSO", .text = "daxvmmctl(1)"}},
  };
}

}  // namespace daxvmm::vmm
