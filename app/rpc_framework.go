package app

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type versionFields struct {
	Major  uint32 `json:"major"`
	Minor  uint32 `json:"minor"`
	Patch  uint32 `json:"patch"`
	Suffix string `json:"suffix"`
	Commit string `json:"commit,omitempty"`
}

type versionInfo struct {
	Version string        `json:"version" doc:"the program, in words"`
	Fields  versionFields `json:"fields"`
}

func version() versionInfo {
	v := versionInfo{Version: VersionString()}
	number, suffix, ok := strings.Cut(Version, "-")
	if ok {
		v.Fields.Suffix = "-" + suffix
	}
	fmt.Sscanf(number, "%d.%d.%d", &v.Fields.Major, &v.Fields.Minor, &v.Fields.Patch)
	v.Fields.Commit = revision()
	return v
}

type subsystemInfo struct {
	Subsystem string   `json:"subsystem"`
	DependsOn []string `json:"depends_on"`
}

func getSubsystems(t *reactor.Thread, req *rpc.Request[rpc.None, []subsystemInfo]) {
	list := []subsystemInfo{}
	for _, s := range Of(t).running {
		list = append(list, subsystemInfo{s.Name, append([]string{}, s.DependsOn...)})
	}
	req.Reply(list)
}

type getConfigParams struct {
	Name        string `json:"name" doc:"the subsystem"`
	WithBatches bool   `json:"with_batches,omitempty" doc:"keep batches as such, of which there are none here"`
}

func getConfig(t *reactor.Thread, req *rpc.Request[getConfigParams, []fsdev.ConfigCall]) {
	a := Of(t)
	for _, s := range a.running {
		if s.Name != req.Params.Name {
			continue
		}
		calls := []fsdev.ConfigCall{}
		if s.Config != nil {
			calls = append(calls, s.Config(t, a)...)
		}
		req.Reply(calls)
		return
	}
	req.Fail(rpc.InvalidParams, "Subsystem '%s' not found", req.Params.Name)
}

func startInitByRPC(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
	c := &Of(t).control
	if c.asked || !Of(t).o.WaitForRPC {
		req.Fail(rpc.InvalidState, "The framework is being initialized already.")
		return
	}
	c.asked = true
	c.start <- &startInit{req}
}

func waitInit(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
	if req.Service().State() == rpc.Runtime {
		req.Reply(true)
		return
	}
	c := &Of(t).control
	c.waiters = append(c.waiters, req)
}

type monitorParams struct {
	Enabled *bool `json:"enabled,omitempty" doc:"switch it on or off; without this it is left as it is"`
}

type monitorInfo struct {
	Enabled bool `json:"enabled"`
}

func monitorContextSwitch(t *reactor.Thread, req *rpc.Request[monitorParams, monitorInfo]) {
	if on := req.Params.Enabled; on != nil {
		t.Framework().EnableContextSwitchMonitor(*on)
	}
	req.Reply(monitorInfo{t.Framework().ContextSwitchMonitorEnabled()})
}

func enableCoreLocks(a *App) (bool, error) {
	if a.o.CPUMaskLocksHeld {
		return true, nil
	}
	if err := a.locks.lock(a.cores); err != nil {
		return false, &rpc.Error{Code: rpc.InternalError, Message: fmt.Sprintf("Failed to claim CPU core: %v", err)}
	}
	return true, nil
}

func disableCoreLocks(a *App) (bool, error) {
	if a.o.CPUMaskLocksHeld {
		return false, &rpc.Error{Code: -int(syscall.EPERM),
			Message: "Failed to unclaim CPU core: they are claimed until the process ends, which has locked itself up since"}
	}
	if err := a.locks.unlock(); err != nil {
		return false, &rpc.Error{Code: rpc.InternalError, Message: fmt.Sprintf("Failed to unclaim CPU core: %v", err)}
	}
	return true, nil
}

// signalName is a signal that spdk_kill_instance can send.
type signalName syscall.Signal

var signalNames = []struct {
	name string
	sig  syscall.Signal
}{
	{"SIGINT", syscall.SIGINT},
	{"SIGTERM", syscall.SIGTERM},
	{"SIGQUIT", syscall.SIGQUIT},
	{"SIGHUP", syscall.SIGHUP},
	{"SIGKILL", syscall.SIGKILL},
	{"SIGUSR1", syscall.SIGUSR1},
}

func (s *signalName) UnmarshalText(text []byte) error {
	for _, n := range signalNames {
		if n.name == string(text) {
			*s = signalName(n.sig)
			return nil
		}
	}
	return fmt.Errorf("there is no signal %q to send", text)
}

func (signalName) Values() (names []string) {
	for _, n := range signalNames {
		names = append(names, n.name)
	}
	return names
}

type killParams struct {
	Signal signalName `json:"sig_name" doc:"the signal"`
}

func killInstance(_ *reactor.Thread, req *rpc.Request[killParams, bool]) {
	req.Reply(true) // first: it is the last chance
	syscall.Kill(syscall.Getpid(), syscall.Signal(req.Params.Signal))
}

func init() {
	both := rpc.Startup | rpc.Runtime
	rpc.Register(rpc.Method{Name: "spdk_get_version", States: both, Doc: "Tell the version of the application."},
		func(_ *reactor.Thread, req *rpc.Request[rpc.None, versionInfo]) { req.Reply(version()) })
	rpc.Register(rpc.Method{
		Name: "framework_start_init", States: rpc.Startup,
		Doc: "Bring the subsystems of an application up that was started with --wait-for-rpc. The answer comes when they " +
			"are; if they fail, the application ends.",
	}, startInitByRPC)
	rpc.Register(rpc.Method{
		Name: "framework_wait_init", States: both,
		Doc: "Answer when the subsystems are up.",
	}, waitInit)
	rpc.Register(rpc.Method{
		Name: "framework_get_subsystems", States: rpc.Runtime,
		Doc: "List the subsystems in the order in which they were brought up.",
	}, getSubsystems)
	rpc.Register(rpc.Method{
		Name: "framework_get_config", States: rpc.Runtime,
		Doc: "List the calls that bring a subsystem to where it is.",
	}, getConfig)
	rpc.Register(rpc.Method{
		Name: "framework_monitor_context_switch", States: rpc.Runtime,
		Doc: "Have the reactors report when the kernel took the CPU from them, or tell whether they do.",
	}, monitorContextSwitch)
	rpc.Register(rpc.Method{
		Name: "framework_enable_cpumask_locks", States: both,
		Doc: "Claim the CPUs of the application, so that no other one of its kind can have them.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) { Answer(t, req, enableCoreLocks) })
	rpc.Register(rpc.Method{
		Name: "framework_disable_cpumask_locks", States: both,
		Doc: "Give the claim of the CPUs up.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) { Answer(t, req, disableCoreLocks) })
	rpc.Register(rpc.Method{
		Name: "spdk_kill_instance", States: rpc.Runtime,
		Doc: "Send the application a signal.",
	}, killInstance)
}
