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
           {.title = "CONFIGURATION FILE",
            .text =
                R"(What `--config` reads. A line is `name = value`, or `name` alone for a flag without a value; the names
are those of the flags above, without dashes. The value is the rest of the line as it stands, without the blanks around
it: there are no quotes and no escapes. Empty lines, and lines that begin with `#`, are left out. A flag that may be
given again may be so here. `config` and `help` may not stand in it. An error names file, line and flag.

  kernel = /boot/vmlinuz
  initrd = /boot/initrd.img
  cmdline = console=ttyS0 quiet
  share = path=/srv/data,tag=data,dax-window=1G
)"},
           {.title = "SERVICE",
            .text =
                R"(The unit daxvmm@.service runs a machine by name: `systemctl start daxvmm@web` reads
/etc/daxvmm/web.conf, a file as above. Its control socket is /run/daxvmm/web/control.sock, and what it keeps stands in
/var/lib/daxvmm/web. It is ready once the guest runs and the socket is served, is started again after exit status 3 (a
reboot), and after 1, 4 and 5, but not after 0, 2 and 6. `systemctl stop` asks the guest to power off, and waits 90
seconds. The console is in the journal: `journalctl -u daxvmm@web`.
)"},
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
           {.title = "ENVIRONMENT",
            .items = {{"DAXVMM_CONTROL_LIBRARY",
                       "The file of libdaxvmm_control.so, for --control and --policy-file. Without it: beside the "
                       "program, or in ../lib/daxvmm/ or ../control/ of its folder."},
                      {"NOTIFY_SOCKET", "Where the service manager is told that the guest runs; see sd_notify(3)."}}},
           {.title = "FILES",
            .items = {{"/dev/kvm", "What runs the guest; see --kvm."},
                      {"PREFIX/lib/daxvmm/", "The libraries that are loaded when a flag asks for them."},
                      {"/etc/daxvmm/NAME.conf", "The flags of the machine NAME, for daxvmm@.service."},
                      {"/run/daxvmm/NAME/control.sock", "Its control socket."}}},
           {.title = "SEE ALSO", .text = "daxvmmctl(1), daxvmm-policy(5), systemctl(1)"}},
  };
}

}  // namespace daxvmm::vmm
