package fusemount

import (
	"fmt"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// cachePolicy is a policy by name.
type cachePolicy fusedispatcher.CachePolicy

var policies = []fusedispatcher.CachePolicy{
	fusedispatcher.CacheAuto, fusedispatcher.CacheNone, fusedispatcher.CacheAlways,
}

func (p *cachePolicy) UnmarshalText(text []byte) error {
	policy, err := fusedispatcher.ParseCachePolicy(string(text))
	if err != nil {
		return fmt.Errorf("want one of %q", p.Values())
	}
	*p = cachePolicy(policy)
	return nil
}

func (p cachePolicy) MarshalText() ([]byte, error) {
	return []byte(fusedispatcher.CachePolicy(p).String()), nil
}

func (cachePolicy) Values() (names []string) {
	for _, p := range policies {
		names = append(names, p.String())
	}
	return names
}

// ringMode is a way to use io_uring by name.
type ringMode fusedev.RingMode

var ringModes = []fusedev.RingMode{fusedev.RingAuto, fusedev.RingOff, fusedev.RingOn}

func (m *ringMode) UnmarshalText(text []byte) error {
	mode, err := fusedev.ParseRingMode(string(text))
	if err != nil {
		return fmt.Errorf("want one of %q", m.Values())
	}
	*m = ringMode(mode)
	return nil
}

func (m ringMode) MarshalText() ([]byte, error) { return []byte(fusedev.RingMode(m).String()), nil }

func (ringMode) Values() (names []string) {
	for _, m := range ringModes {
		names = append(names, m.String())
	}
	return names
}

type mountParams struct {
	Name          string      `json:"name" doc:"the device"`
	Mountpoint    string      `json:"mountpoint" doc:"absolute path of the directory"`
	Cache         cachePolicy `json:"cache,omitempty" doc:"what the kernel may cache; auto if left out"`
	MaxWrite      uint32      `json:"max_write,omitempty" doc:"longest write in bytes, 1 MiB at most and if left out"`
	AllowOther    bool        `json:"allow_other,omitempty" doc:"let other users in, which root always does"`
	ReadOnly      bool        `json:"read_only,omitempty" doc:"refuse changes"`
	NoPassthrough bool        `json:"no_passthrough,omitempty" doc:"keep the kernel from reading files of aio by itself"`
	IOUring       ringMode    `json:"io_uring,omitempty" doc:"whether requests come by io_uring; auto if left out"`
	EntryTimeout  *float64    `json:"entry_timeout,omitempty" doc:"seconds that names may be cached, else as cache has it"`
	AttrTimeout   *float64    `json:"attr_timeout,omitempty" doc:"seconds that attributes may be cached"`
}

// timeout is a number of seconds as fusedispatcher.Opts has it: 0 means that of the cache policy, less means none.
func timeout(seconds *float64) (time.Duration, error) {
	switch {
	case seconds == nil:
		return 0, nil
	case !(*seconds >= 0 && *seconds <= maxTimeout):
		return 0, fmt.Errorf("fuse: a timeout of %v seconds: %w", *seconds, syscall.EINVAL)
	case *seconds == 0:
		return -1, nil
	}
	return time.Duration(*seconds * float64(time.Second)), nil
}

const maxTimeout = 1 << 32 // seconds

func seconds(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	return new(max(d, 0).Seconds())
}

func paramsOf(mt *Mount) mountParams {
	return mountParams{
		Name:          mt.Fsdev,
		Mountpoint:    mt.Dir,
		Cache:         cachePolicy(mt.Cache),
		MaxWrite:      mt.MaxWrite,
		AllowOther:    mt.AllowOther,
		ReadOnly:      mt.ReadOnly,
		NoPassthrough: mt.NoPassthrough,
		IOUring:       ringMode(mt.Ring),
		EntryTimeout:  seconds(mt.EntryTimeout),
		AttrTimeout:   seconds(mt.AttrTimeout),
	}
}

func (p *mountParams) mount(a *app.App) (string, error) {
	entry, err := timeout(p.EntryTimeout)
	if err != nil {
		return "", err
	}
	attr, err := timeout(p.AttrTimeout)
	if err != nil {
		return "", err
	}
	mt, err := Of(a).Mount(a.Context(), Options{
		Fsdev:         p.Name,
		Dir:           p.Mountpoint,
		Cache:         fusedispatcher.CachePolicy(p.Cache),
		MaxWrite:      p.MaxWrite,
		AllowOther:    p.AllowOther,
		ReadOnly:      p.ReadOnly,
		NoPassthrough: p.NoPassthrough,
		Ring:          fusedev.RingMode(p.IOUring),
		EntryTimeout:  entry,
		AttrTimeout:   attr,
	})
	if err != nil {
		return "", err
	}
	return mt.Dir, nil
}

type unmountParams struct {
	Mountpoint string `json:"mountpoint" doc:"absolute path of the directory"`
	Force      bool   `json:"force,omitempty" doc:"give users two seconds, and then errors"`
}

func (p *unmountParams) unmount(a *app.App) (bool, error) {
	mt := Of(a).Find(p.Mountpoint)
	if mt == nil {
		return false, fmt.Errorf("fuse: nothing is mounted on %q: %w", p.Mountpoint, syscall.ENOENT)
	}
	return true, mt.Unmount(p.Force)
}

type mountInfo struct {
	Name       string      `json:"name" doc:"the device"`
	Mountpoint string      `json:"mountpoint"`
	Cache      cachePolicy `json:"cache"`
	AllowOther bool        `json:"allow_other"`
	ReadOnly   bool        `json:"read_only"`
	Requests   uint64      `json:"requests" doc:"read from the kernel"`
	BytesIn    uint64      `json:"bytes_in" doc:"of requests"`
	BytesOut   uint64      `json:"bytes_out" doc:"of replies"`
	InFlight   uint32      `json:"in_flight" doc:"requests that are being served"`
}

func mounts(a *app.App) ([]mountInfo, error) {
	list := []mountInfo{}
	for _, mt := range Of(a).Mounts() {
		info := mountInfo{
			Name: mt.Fsdev, Mountpoint: mt.Dir, Cache: cachePolicy(mt.Cache), AllowOther: mt.AllowOther, ReadOnly: mt.ReadOnly,
		}
		for _, q := range mt.Stats().Queues {
			info.Requests += q.Requests
			info.BytesIn += q.BytesIn
			info.BytesOut += q.BytesOut
			info.InFlight += uint32(q.InFlight)
		}
		list = append(list, info)
	}
	return list, nil
}

func config(_ *reactor.Thread, a *app.App) (calls []fsdev.ConfigCall) {
	for _, mt := range Of(a).Mounts() {
		calls = append(calls, fsdev.ConfigCall{Method: "fuse_mount", Params: paramsOf(mt)})
	}
	return calls
}

// holding names the sessions.
func holding(a *app.App) (lines []string) {
	for _, mt := range Of(a).Mounts() {
		lines = append(lines, fmt.Sprintf("session of %s on %s, %s", mt.Fsdev, mt.Dir, mt.inFlight()))
	}
	return lines
}

// inFlight counts requests, unless the reactors do not answer.
func (mt *Mount) inFlight() string {
	answer := make(chan int, 1)
	go func() {
		n := 0
		queues, _ := mt.session.Stats()
		for _, q := range queues {
			n += int(q.InFlight)
		}
		answer <- n
	}()
	select {
	case n := <-answer:
		return fmt.Sprintf("%d requests in flight", n)
	case <-time.After(time.Second):
		return "whose reactors do not answer"
	}
}

func init() {
	app.RegisterSubsystem(app.Subsystem{
		Name:      "fuse",
		DependsOn: []string{"fsdev"},
		Init:      func(_ *reactor.Thread, _ *app.App, done func(error)) { done(nil) },
		Fini:      func(_ *reactor.Thread, a *app.App, done func(error)) { go func() { done(Of(a).UnmountAll()) }() },
		Config:    config,
		Holding:   holding,
	})
	rpc.Register(rpc.Method{
		Name: "fuse_mount", States: rpc.Runtime,
		Doc: "Mount a device on a directory through /dev/fuse. The result is the directory. A dead mount there is replaced.",
	}, func(t *reactor.Thread, req *rpc.Request[mountParams, string]) { app.Answer(t, req, req.Params.mount) })
	rpc.Register(rpc.Method{
		Name: "fuse_unmount", States: rpc.Runtime,
		Doc: "Undo a mount.",
	}, func(t *reactor.Thread, req *rpc.Request[unmountParams, bool]) { app.Answer(t, req, req.Params.unmount) })
	rpc.Register(rpc.Method{
		Name: "fuse_get_mounts", States: rpc.Runtime,
		Doc: "List what is mounted.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, []mountInfo]) { app.Answer(t, req, mounts) })
}
