package app

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type iobufParams struct {
	SmallPoolCount uint64 `json:"small_pool_count,omitempty" doc:"number of small buffers"`
	LargePoolCount uint64 `json:"large_pool_count,omitempty" doc:"number of large buffers"`
	SmallBufsize   uint32 `json:"small_bufsize,omitempty" doc:"bytes of a small buffer"`
	LargeBufsize   uint32 `json:"large_bufsize,omitempty" doc:"bytes of a large buffer"`
	EnableNUMA     bool   `json:"enable_numa,omitempty" doc:"a pool for each NUMA node; not supported, so false"`
}

func iobufConfig(f *reactor.Framework) []fsdev.ConfigCall {
	o := iobuf.GetOpts(f)
	return []fsdev.ConfigCall{{Method: "iobuf_set_options", Params: iobufParams{
		SmallPoolCount: uint64(o.SmallPoolCount),
		LargePoolCount: uint64(o.LargePoolCount),
		SmallBufsize:   uint32(o.SmallBufsize),
		LargeBufsize:   uint32(o.LargeBufsize),
	}}}
}

func setIobufOptions(t *reactor.Thread, req *rpc.Request[iobufParams, bool]) {
	p := &req.Params
	const most = 1 << 32 // buffers; more than a machine has memory for
	if p.EnableNUMA || p.SmallPoolCount > most || p.LargePoolCount > most {
		req.FailErr(fmt.Errorf("iobuf: %d and %d buffers, enable_numa %v: %w",
			p.SmallPoolCount, p.LargePoolCount, p.EnableNUMA, syscall.EINVAL))
		return
	}
	// What is 0 stays as it is.
	o := iobuf.GetOpts(t.Framework())
	set := func(to *int, n uint64) {
		if n != 0 {
			*to = int(n)
		}
	}
	set(&o.SmallPoolCount, p.SmallPoolCount)
	set(&o.LargePoolCount, p.LargePoolCount)
	set(&o.SmallBufsize, uint64(p.SmallBufsize))
	set(&o.LargeBufsize, uint64(p.LargeBufsize))
	if err := iobuf.SetOpts(t.Framework(), o); err != nil {
		req.FailErr(err)
		return
	}
	req.Reply(true)
}

type poolStats struct {
	Cache     uint64 `json:"cache" doc:"buffers got from a thread's cache"`
	Main      uint64 `json:"main" doc:"buffers got from the pool"`
	Retry     uint64 `json:"retry" doc:"requests that had to wait"`
	CacheSize uint32 `json:"cache_size" doc:"buffers in all caches"`
}

type iobufStats struct {
	Module string    `json:"module"`
	Small  poolStats `json:"small_pool"`
	Large  poolStats `json:"large_pool"`
}

func getIobufStats(t *reactor.Thread, req *rpc.Request[rpc.None, []iobufStats]) {
	if errno := iobuf.GetStats(t, gotIobufStats, req); errno != 0 {
		req.FailErr(errno)
	}
}

func gotIobufStats(_ *reactor.Thread, ctx any, stats []iobuf.ModuleStats, status syscall.Errno) {
	req := ctx.(*rpc.Request[rpc.None, []iobufStats])
	if status != 0 {
		req.FailErr(status)
		return
	}
	of := func(s iobuf.PoolStats) poolStats { return poolStats{s.Cache, s.Main, s.Retry, uint32(s.CacheSize)} }
	list := []iobufStats{}
	for _, m := range stats {
		list = append(list, iobufStats{m.Module, of(m.Small), of(m.Large)})
	}
	req.Reply(list)
}

func init() {
	rpc.Register(rpc.Method{
		Name:   "iobuf_set_options",
		States: rpc.Startup,
		Doc:    "Say how many data buffers there are, and of what size. What is left out stays as it is.",
	}, setIobufOptions)
	rpc.Register(rpc.Method{
		Name:   "iobuf_get_stats",
		States: rpc.Runtime,
		Doc:    "Tell, for each module, where it got its data buffers from.",
	}, getIobufStats)
}
