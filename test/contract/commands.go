package contract

import "strings"

// Command is a run of rpc.py.
type Command struct {
	Args  []string
	Stdin string
	Fails bool // it has to be refused
}

// TargetArgs is what spdk_tgt is started with, apart from the socket, for the recording and for the replay.
var TargetArgs = []string{"--cpumask", "0x1", "--mode", "hybrid", "--disable-cpumask-locks", "--wait-for-rpc"}

// Commands is what rpc.py is told, in this order: each method of SPDK that there is here, in each state that SPDK
// allows it in, then what is made of several.
func Commands() []Command {
	var list []Command
	for line := range strings.Lines(startup + runtime) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rest, fails := strings.CutPrefix(line, "! ")
		list = append(list, Command{Args: strings.Fields(rest), Fails: fails})
	}
	return append(list,
		Command{Args: []string{"load_config"}, Stdin: loaded},
		Command{Args: []string{"load_subsystem_config"}, Stdin: loadedSubsystem},
		Command{Args: []string{"-b"}, Stdin: "log_set_flag rpc\nthread_get_stats\nlog_clear_flag rpc\n"},
		Command{Args: []string{"-v", "spdk_get_version"}},
		Command{Args: []string{"spdk_kill_instance", "SIGTERM"}})
}

// startup is for an application that waits for framework_start_init.
const startup = `
rpc_get_methods
rpc_get_methods -c
rpc_get_methods -c -i
spdk_get_version
! thread_get_stats
! fsdev_aio_create aio0 /tmp
log_set_print_level INFO
log_get_print_level
log_set_level WARNING
log_get_level
log_get_flags
log_set_flag rpc
log_clear_flag rpc
! log_set_flag none
framework_disable_cpumask_locks
framework_enable_cpumask_locks
framework_disable_cpumask_locks
framework_set_scheduler dynamic -p 100000 --load-limit 30 --core-limit 70 --core-busy 90
framework_get_scheduler
! framework_set_scheduler none
scheduler_set_options -s 0 -i 0x0
iobuf_set_options --small-pool-count 256 --large-pool-count 32 --small-bufsize 8192 --large-bufsize 135168
! iobuf_set_options --small-pool-count 1
fsdev_set_opts 8192 128
trace_get_tpoint_group_mask
framework_start_init
`

const runtime = `
framework_wait_init
! framework_start_init
! iobuf_set_options --small-pool-count 256
rpc_get_methods
rpc_get_methods --current --include-aliases
spdk_get_version
framework_get_subsystems
framework_get_config scheduler
framework_get_config iobuf --no-with-batches
framework_get_config fsdev --with-batches
! framework_get_config none
framework_monitor_context_switch
framework_monitor_context_switch --monitor
framework_monitor_context_switch --no-monitor
framework_get_reactors
framework_set_scheduler static
framework_get_scheduler
framework_get_governor
framework_disable_cpumask_locks
thread_get_stats
thread_get_pollers
thread_set_cpumask -i 1 -m 0x1
! thread_set_cpumask -i 1 -m 0x8000000000000000
! thread_set_cpumask -i 999 -m 0x1
log_set_print_level NOTICE
log_get_print_level
log_set_level NOTICE
log_get_level
log_get_flags
log_set_flag all
log_clear_flag all
log_enable_timestamps --timestamps
log_enable_timestamps --no-timestamps
fsdev_get_opts
fsdev_set_opts 8192 128
fsdev_aio_create aio0 /tmp --xattr --no-writeback-cache -w 65536 --skip-rw
! fsdev_aio_create aio0 /tmp
! fsdev_aio_create aio1 /nonexistent
fsdev_aio_create aio1 /tmp
thread_get_io_channels
iobuf_get_stats
save_config
save_config -s fsdev -i -1
save_subsystem_config -n fsdev
trace_get_info
trace_get_tpoint_group_mask
trace_enable_tpoint_group fsdev
trace_disable_tpoint_group all
! trace_enable_tpoint_group none
trace_set_tpoint_mask fsdev 0x1
trace_clear_tpoint_mask fsdev 0x1
trace_clear
notify_get_types
notify_get_notifications
notify_get_notifications -i 1 -n 2
fsdev_aio_delete aio0
! fsdev_aio_delete aio0
fsdev_aio_delete aio1
`

const (
	loaded = `{"subsystems": [{"subsystem": "keyring", "config": null}, {"subsystem": "fsdev", "config": [` +
		`{"method": "fsdev_aio_create", "params": {"name": "aio2", "root_path": "/tmp"}}, ` +
		`[{"method": "log_set_flag", "params": {"flag": "rpc"}}, {"method": "log_get_flags"}]]}]}`
	loadedSubsystem = `{"subsystem": "fsdev", "config": [{"method": "fsdev_aio_delete", "params": {"name": "aio2"}}]}`
)
