package sandbox

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// capNames are the names of capabilities by number, as in capabilities(7), without CAP_ and in small letters.
var capNames = []string{"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
	"setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore"}

const _ = uint(unix.CAP_LAST_CAP - 40) // the last one above

// ParseCaps reads changes of the capabilities that stay, as virtiofsd's --modcaps has them: +NAME keeps one and -NAME
// does not, and several have a colon between them.
func ParseCaps(text string) (more, less uint64, err error) {
	for change := range strings.SplitSeq(text, ":") {
		name := strings.TrimPrefix(strings.ToLower(strings.TrimLeft(change, "+-")), "cap_")
		i := slices.Index(capNames, name)
		if i < 0 || len(change) < 2 || change[0] != '+' && change[0] != '-' {
			return 0, 0, fmt.Errorf("%q is not +CAPABILITY or -CAPABILITY (see capabilities(7))", change)
		}
		bit := uint64(1) << i
		if change[0] == '+' {
			more, less = more|bit, less&^bit
		} else {
			more, less = more&^bit, less|bit
		}
	}
	return more, less, nil
}
