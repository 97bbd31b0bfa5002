package fsdev

import (
	"reflect"

	"github.com/spdk-go/spdk-go/reactor"
)

// object is the number of io in traces: no other that is under way has it.
func (io *IO) object() uint64 { return uint64(reflect.ValueOf(io).Pointer()) }

func (io *IO) traceStart() {
	if !io.Thread().Traced(reactor.TpointFsdevIOStart) {
		return
	}
	e := reactor.TraceEntry{
		Tpoint: reactor.TpointFsdevIOStart,
		Owner:  io.desc.f.owner,
		Object: io.object(),
		Args:   [4]uint64{uint64(io.Type), io.Unique, uint64(io.Object)},
	}
	// Fields that an operation does not have are left from another one.
	switch io.Type {
	case IORead, IOWrite:
		e.Size, e.Args[3] = io.Size, io.Offset
	case IOMount, IOUmount, IOAbort:
		e.Args[2] = 0
	}
	io.Thread().TraceRecord(e)
}

func (io *IO) traceDone() {
	if io.st.tracepoints.Load() == 0 {
		io.st.special &^= specialTrace
	}
	if !io.Thread().Traced(reactor.TpointFsdevIODone) {
		return
	}
	io.Thread().TraceRecord(reactor.TraceEntry{
		Tpoint: reactor.TpointFsdevIODone,
		Owner:  io.desc.f.owner,
		Object: io.object(),
		Args:   [4]uint64{uint64(io.Type), uint64(io.errno)},
	})
}
