package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	_ "github.com/spdk-go/spdk-go/reactor/scheduler" // the schedulers that can be chosen
	"github.com/spdk-go/spdk-go/rpc"
)

const defaultScheduler = "static"

func initScheduler(_ *reactor.Thread, a *App, done func(error)) {
	if a.fw.Scheduler() != nil { // a configuration has chosen one
		done(nil)
		return
	}
	go func() { done(a.fw.SetScheduler(defaultScheduler)) }()
}

func finiScheduler(a *App) error {
	a.fw.SetSchedulerPeriod(0)
	return a.fw.SetScheduler("")
}

type setSchedulerParams struct {
	Name      string `json:"name" doc:"the scheduler, e.g. static (threads stay) or dynamic (they go where there is room)"`
	Period    uint64 `json:"period,omitempty" doc:"how often it runs, in µs; 0 leaves that, a second at first"`
	LoadLimit uint8  `json:"load_limit,omitempty" doc:"dynamic: percentage of load from which a thread is busy"`
	CoreLimit uint8  `json:"core_limit,omitempty" doc:"dynamic: percentage at which a core is full"`
	CoreBusy  uint8  `json:"core_busy,omitempty" doc:"dynamic: percentage from which a core is relieved of threads"`
	Mappings  string `json:"mappings,omitempty" doc:"static: THREAD:CORE, separated by commas"`
}

// options are the parameters that are the scheduler's, nil if none is given.
func (p *setSchedulerParams) options() json.RawMessage {
	type options struct {
		LoadLimit uint8  `json:"load_limit,omitempty"`
		CoreLimit uint8  `json:"core_limit,omitempty"`
		CoreBusy  uint8  `json:"core_busy,omitempty"`
		Mappings  string `json:"mappings,omitempty"`
	}
	o := options{p.LoadLimit, p.CoreLimit, p.CoreBusy, p.Mappings}
	if o == (options{}) {
		return nil
	}
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // three integers and a string
	}
	return text
}

func (a *App) setScheduler(p *setSchedulerParams) error {
	if p.Period != 0 {
		a.fw.SetSchedulerPeriod(time.Duration(p.Period) * time.Microsecond)
	} else if a.fw.SchedulerPeriod() == 0 {
		a.fw.SetSchedulerPeriod(time.Second)
	}
	err := a.fw.SetScheduler(p.Name)
	if opts := p.options(); err == nil && opts != nil {
		err = a.fw.SetSchedulerOpts(opts)
	}
	if err != nil {
		return &rpc.Error{Code: rpc.InternalError, Message: err.Error()}
	}
	return nil
}

// schedulerConfig returns the call that chooses the scheduler as it is.
func schedulerConfig(f *reactor.Framework) []fsdev.ConfigCall {
	s := f.Scheduler()
	if s == nil {
		return nil
	}
	p := setSchedulerParams{Name: s.Name(), Period: uint64(f.SchedulerPeriod().Microseconds())}
	if err := copyOptions(s, &p); err != nil {
		f.Warn("the scheduler's options are not saved", "error", err)
	}
	p.Mappings = "" // the numbers of threads mean something else next time
	return []fsdev.ConfigCall{{Method: "framework_set_scheduler", Params: p}}
}

// copyOptions copies a scheduler's options to the fields of the same names in JSON.
func copyOptions(s reactor.Scheduler, to any) error {
	text, err := json.Marshal(s.Opts())
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return fmt.Errorf("options of scheduler %q: %w", s.Name(), err)
	}
	return nil
}

type schedulerInfo struct {
	Name           string `json:"scheduler_name,omitempty"`
	Period         uint64 `json:"scheduler_period" doc:"µs"`
	IsolatedMask   string `json:"isolated_core_mask"`
	SchedulingCore uint32 `json:"scheduling_core"`
	Governor       string `json:"governor_name,omitempty"`
	LoadLimit      *uint8 `json:"load_limit,omitempty" doc:"of the dynamic scheduler, as the next two"`
	CoreLimit      *uint8 `json:"core_limit,omitempty"`
	CoreBusy       *uint8 `json:"core_busy,omitempty"`
	Mappings       string `json:"mappings,omitempty" doc:"of the static scheduler"`
}

func getScheduler(t *reactor.Thread, req *rpc.Request[rpc.None, schedulerInfo]) {
	fw := t.Framework()
	mask := fw.IsolatedCores()
	info := schedulerInfo{
		Period:         uint64(fw.SchedulerPeriod().Microseconds()),
		IsolatedMask:   mask.String(),
		SchedulingCore: uint32(fw.SchedulingCore()),
	}
	if g := fw.Governor(); g != nil {
		info.Governor = g.Name()
	}
	if s := fw.Scheduler(); s != nil {
		info.Name = s.Name()
		if err := copyOptions(s, &info); err != nil {
			req.FailErr(err)
			return
		}
	}
	req.Reply(info)
}

type governorCore struct {
	Core  uint32   `json:"lcore_id"`
	Freqs []uint32 `json:"available_frequencies" doc:"kHz, the highest first"`
	Freq  uint32   `json:"current_frequency" doc:"kHz"`
}

type governorInfo struct {
	Name     string         `json:"governor_name,omitempty" doc:"absent, as the others, if there is no governor"`
	Specific any            `json:"module_specific,omitempty"`
	Cores    []governorCore `json:"cores,omitempty"`
}

func getGovernor(t *reactor.Thread, req *rpc.Request[rpc.None, governorInfo]) {
	var info governorInfo
	fw := t.Framework()
	if g := fw.Governor(); g != nil {
		info.Name, info.Specific = g.Name(), g.DumpInfo()
		for _, r := range fw.Reactors() {
			c := r.Core()
			info.Cores = append(info.Cores, governorCore{uint32(c), append([]uint32{}, g.CoreAvailFreqs(c)...), g.CoreFreq(c)})
		}
	}
	req.Reply(info)
}

type schedulerOptions struct {
	SchedulingCore *uint32 `json:"scheduling_core,omitempty" doc:"core that the scheduler runs on"`
	IsolatedMask   string  `json:"isolated_core_mask,omitempty" doc:"cores that it moves nothing to or from"`
}

// parseIsolated reads a mask of cores, of which there may be none.
func parseIsolated(text string) (mask reactor.Cpuset, err error) {
	if digits := strings.TrimPrefix(text, "0x"); digits != "" && strings.Trim(digits, "0") == "" {
		return mask, nil
	}
	parsed, err := reactor.ParseCpuset(text)
	if err != nil {
		return mask, err
	}
	return *parsed, nil
}

func setSchedulerOptions(t *reactor.Thread, req *rpc.Request[schedulerOptions, bool]) {
	fw := t.Framework()
	core := fw.SchedulingCore()
	if c := req.Params.SchedulingCore; c != nil {
		core = int(*c)
	}
	isolated := fw.IsolatedCores()
	var err error
	if text := req.Params.IsolatedMask; text != "" {
		isolated, err = parseIsolated(text)
	}
	switch {
	case err != nil:
	case fw.ReactorOn(core) == nil:
		err = fmt.Errorf("there is no reactor on core %d", core)
	case isolated.Get(core):
		err = errors.New("the scheduling core cannot be isolated")
	default:
		if err = fw.SetIsolatedCores(&isolated); err == nil {
			err = fw.SetSchedulingCore(core)
		}
	}
	if err != nil {
		req.Fail(rpc.InvalidParams, "%v", err)
		return
	}
	req.Reply(true)
}

func init() {
	rpc.Register(rpc.Method{
		Name:    "framework_set_scheduler",
		States:  rpc.Startup | rpc.Runtime,
		Doc:     "Choose the scheduler, which decides on which core a thread runs.",
		Relaxed: true,
	}, func(t *reactor.Thread, req *rpc.Request[setSchedulerParams, bool]) {
		Answer(t, req, func(a *App) (bool, error) { return true, a.setScheduler(&req.Params) })
	})
	rpc.Register(rpc.Method{
		Name:   "framework_get_scheduler",
		States: rpc.Startup | rpc.Runtime,
		Doc:    "Tell the scheduler and its options.",
	}, getScheduler)
	rpc.Register(rpc.Method{
		Name:   "framework_get_governor",
		States: rpc.Runtime,
		Doc:    "Tell the governor, and the frequencies of the cores.",
	}, getGovernor)
	rpc.Register(rpc.Method{
		Name:   "scheduler_set_options",
		States: rpc.Startup,
		Doc:    "Say where the scheduler runs, and which cores are none of its business.",
	}, setSchedulerOptions)
}
