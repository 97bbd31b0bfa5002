package app

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type fsdevOpts struct {
	IOPoolSize  uint32 `json:"fsdev_io_pool_size" doc:"operations that can be in flight"`
	IOCacheSize uint32 `json:"fsdev_io_cache_size" doc:"free ones that each thread keeps for itself"`
}

func getFsdevOpts(t *reactor.Thread, req *rpc.Request[rpc.None, fsdevOpts]) {
	o := fsdev.GetOpts(t.Framework())
	req.Reply(fsdevOpts{uint32(o.IOPoolSize), uint32(o.IOCacheSize)})
}

func setFsdevOpts(t *reactor.Thread, req *rpc.Request[fsdevOpts, bool]) {
	o := fsdev.Opts{IOPoolSize: int(req.Params.IOPoolSize), IOCacheSize: int(req.Params.IOCacheSize)}
	// Once the subsystem is up, what it has can be said again, as when a configuration is loaded twice.
	if o != fsdev.GetOpts(t.Framework()) {
		if err := fsdev.SetOpts(t.Framework(), o); err != nil {
			req.Fail(rpc.InvalidParams, "%v", err)
			return
		}
	}
	req.Reply(true)
}

type fsdevName struct {
	Name string `json:"name" doc:"the device"`
}

type fsdevNameOrAll struct {
	Name string `json:"name,omitempty" doc:"the device; all if this is left out"`
}

// find returns the device of that name, or answers that there is none.
func find[P, R any](t *reactor.Thread, req *rpc.Request[P, R], name string) *fsdev.Fsdev {
	f := fsdev.Lookup(t.Framework(), name)
	if f == nil {
		req.Fail(-int(syscall.ENODEV), "there is no fsdev %q", name)
	}
	return f
}

// findSome returns the device of that name or all, or answers that there is none of the name.
func findSome[P, R any](t *reactor.Thread, req *rpc.Request[P, R], name string) (list []*fsdev.Fsdev, ok bool) {
	if name == "" {
		return fsdev.Fsdevs(t.Framework()), true
	}
	if f := find(t, req, name); f != nil {
		return []*fsdev.Fsdev{f}, true
	}
	return nil, false
}

type fsdevInfo struct {
	Name       string `json:"name"`
	Module     string `json:"module_name"`
	Histograms bool   `json:"histograms" doc:"latencies are counted, see fsdev_enable_histogram"`
}

func getFsdevs(t *reactor.Thread, req *rpc.Request[fsdevNameOrAll, []fsdevInfo]) {
	fsdevs, ok := findSome(t, req, req.Params.Name)
	if !ok {
		return
	}
	list := []fsdevInfo{}
	for _, f := range fsdevs {
		list = append(list, fsdevInfo{f.Name(), f.ModuleName(), f.HistogramsEnabled()})
	}
	req.Reply(list)
}

type iostatParams struct {
	Name       string `json:"name,omitempty" doc:"the device; all if this is left out"`
	PerChannel bool   `json:"per_channel,omitempty" doc:"tell what each thread did as well"`
	Reset      bool   `json:"reset,omitempty" doc:"count from zero after this"`
}

type opStat struct {
	Op     string `json:"op"`
	Count  uint64 `json:"count" doc:"completed, those that failed included"`
	Errors uint64 `json:"errors"`
	Bytes  uint64 `json:"bytes" doc:"moved by READ, WRITE and COPY_FILE_RANGE"`
}

type ioStat struct {
	BytesRead    uint64   `json:"bytes_read"`
	BytesWritten uint64   `json:"bytes_written"`
	NumOps       uint64   `json:"num_ops"`
	NumErrors    uint64   `json:"num_errors"`
	NoIO         uint64   `json:"no_io" doc:"operations refused because fsdev_io_pool_size is too small"`
	InFlight     uint32   `json:"in_flight" doc:"operations that have not been completed"`
	Ops          []opStat `json:"ops" doc:"those of which there was at least one"`
}

type channelStat struct {
	Thread string `json:"thread"`
	ID     uint64 `json:"thread_id"`
	Stat   ioStat `json:"stat"`
}

type fsdevStat struct {
	Name     string        `json:"name"`
	Stat     ioStat        `json:"stat"`
	Channels []channelStat `json:"channels,omitempty"`
}

type iostat struct {
	TickRate uint64      `json:"tick_rate" doc:"ticks per second"`
	Ticks    uint64      `json:"ticks" doc:"the time of the application"`
	Fsdevs   []fsdevStat `json:"fsdevs"`
}

func ioStatOf(s *fsdev.Stats) ioStat {
	sum := s.Total()
	st := ioStat{
		BytesRead:    s.BytesRead(),
		BytesWritten: s.BytesWritten(),
		NumOps:       sum.Count,
		NumErrors:    sum.Errors,
		NoIO:         s.NoIO,
		InFlight:     uint32(s.InFlight),
		Ops:          []opStat{},
	}
	for i, op := range s.Ops {
		if op.Count > 0 {
			st.Ops = append(st.Ops, opStat{fsdev.IOType(i).String(), op.Count, op.Errors, op.Bytes})
		}
	}
	return st
}

// iostatWalk asks one device after the other.
type iostatWalk struct {
	req    *rpc.Request[iostatParams, iostat]
	todo   []*fsdev.Fsdev
	result iostat
}

func getIostat(t *reactor.Thread, req *rpc.Request[iostatParams, iostat]) {
	fsdevs, ok := findSome(t, req, req.Params.Name)
	if !ok {
		return
	}
	fw := t.Framework()
	w := &iostatWalk{req: req, todo: fsdevs, result: iostat{fw.TicksHz(), fw.Ticks(), []fsdevStat{}}}
	w.next(t)
}

func (w *iostatWalk) next(t *reactor.Thread) {
	switch {
	case len(w.todo) == 0:
		w.req.Reply(w.result)
	case w.req.Params.Reset:
		w.todo[0].ResetStats(t, gotIostat, w)
	default:
		w.todo[0].Stats(t, gotIostat, w)
	}
}

func gotIostat(t *reactor.Thread, ctx any, s *fsdev.DeviceStats, errno syscall.Errno) {
	w := ctx.(*iostatWalk)
	f := w.todo[0]
	w.todo = w.todo[1:]
	if errno == 0 { // else it has gone meanwhile
		st := fsdevStat{Name: f.Name(), Stat: ioStatOf(&s.Stats)}
		if w.req.Params.PerChannel {
			for i := range s.Channels {
				ch := &s.Channels[i]
				st.Channels = append(st.Channels, channelStat{ch.Thread, ch.ThreadID, ioStatOf(&ch.Stats)})
			}
		}
		w.result.Fsdevs = append(w.result.Fsdevs, st)
	}
	w.next(t)
}

type enableHistogramParams struct {
	Name   string `json:"name" doc:"the device"`
	Enable bool   `json:"enable" doc:"on or off; off forgets what was counted"`
}

func enableHistogram(t *reactor.Thread, req *rpc.Request[enableHistogramParams, bool]) {
	if f := find(t, req, req.Params.Name); f != nil {
		f.EnableHistograms(t, req.Params.Enable, histogramsEnabled, req)
	}
}

func histogramsEnabled(_ *reactor.Thread, ctx any, errno syscall.Errno) {
	req := ctx.(*rpc.Request[enableHistogramParams, bool])
	if errno != 0 {
		req.FailErr(errno)
		return
	}
	req.Reply(true)
}

type histogramBucket struct {
	Low   uint64 `json:"low" doc:"ticks"`
	High  uint64 `json:"high" doc:"ticks, exclusive"`
	Count uint64 `json:"count"`
}

type opHistogram struct {
	Op      string            `json:"op"`
	Count   uint64            `json:"count"`
	Sum     uint64            `json:"sum" doc:"ticks of all operations together"`
	Max     uint64            `json:"max" doc:"ticks of the longest"`
	P50     uint64            `json:"p50" doc:"ticks that half of them did not exceed, to an eighth"`
	P99     uint64            `json:"p99"`
	P999    uint64            `json:"p999"`
	Buckets []histogramBucket `json:"buckets" doc:"those that have counted something"`
}

type histograms struct {
	TickRate uint64        `json:"tick_rate" doc:"ticks per second"`
	Ops      []opHistogram `json:"ops" doc:"those of which there was at least one"`
}

func getHistogram(t *reactor.Thread, req *rpc.Request[fsdevName, histograms]) {
	if f := find(t, req, req.Params.Name); f != nil {
		f.Stats(t, gotHistogram, req)
	}
}

func gotHistogram(_ *reactor.Thread, ctx any, s *fsdev.DeviceStats, errno syscall.Errno) {
	req := ctx.(*rpc.Request[fsdevName, histograms])
	switch {
	case errno != 0:
		req.FailErr(errno)
		return
	case s.Histograms == nil:
		req.FailErr(fmt.Errorf("the histograms of %q are off, see fsdev_enable_histogram: %w", req.Params.Name,
			syscall.ENOENT))
		return
	}
	result := histograms{s.TicksHz, []opHistogram{}}
	for i := range s.Histograms {
		h := &s.Histograms[i]
		n := h.Count()
		if n == 0 {
			continue
		}
		oh := opHistogram{
			Op: fsdev.IOType(i).String(), Count: n, Sum: h.Sum, Max: h.Max,
			P50: h.Quantile(0.5), P99: h.Quantile(0.99), P999: h.Quantile(0.999),
		}
		for b, count := range h.All() {
			low, high := fsdev.HistogramBucket(b)
			oh.Buckets = append(oh.Buckets, histogramBucket{low, high, count})
		}
		result.Ops = append(result.Ops, oh)
	}
	req.Reply(result)
}

func resetFsdev(t *reactor.Thread, req *rpc.Request[fsdevName, bool]) {
	f := find(t, req, req.Params.Name)
	if f == nil {
		return
	}
	if err := f.Reset(t, fsdevReset, req); err != nil {
		req.FailErr(err)
	}
}

func fsdevReset(_ *reactor.Thread, ctx any, err error) {
	req := ctx.(*rpc.Request[fsdevName, bool])
	if err != nil {
		req.FailErr(err)
		return
	}
	req.Reply(true)
}

func init() {
	rpc.Register(rpc.Method{
		Name: "fsdev_get_opts", States: rpc.Startup | rpc.Runtime,
		Doc: "Tell the sizes of the fsdev layer's pools.",
	}, getFsdevOpts)
	rpc.Register(rpc.Method{
		Name: "fsdev_set_opts", States: rpc.Startup | rpc.Runtime,
		Doc: "Say how large the fsdev layer's pools are, before framework_start_init.",
	}, setFsdevOpts)
	rpc.Register(rpc.Method{
		Name: "fsdev_get_fsdevs", States: rpc.Runtime,
		Doc: "List the file system devices, or tell of one.",
	}, getFsdevs)
	rpc.Register(rpc.Method{
		Name: "fsdev_get_iostat", States: rpc.Runtime,
		Doc: "Tell what devices have done.",
	}, getIostat)
	rpc.Register(rpc.Method{
		Name: "fsdev_enable_histogram", States: rpc.Runtime,
		Doc: "Count how long operations of a device take, or stop that.",
	}, enableHistogram)
	rpc.Register(rpc.Method{
		Name: "fsdev_get_histogram", States: rpc.Runtime,
		Doc: "Tell how long operations of a device took.",
	}, getHistogram)
	rpc.Register(rpc.Method{
		Name: "fsdev_reset", States: rpc.Runtime,
		Doc: "Reset a device: what is in flight is aborted or waited for, and what comes meanwhile waits.",
	}, resetFsdev)
}
