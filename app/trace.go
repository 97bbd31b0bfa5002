package app

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/trace"
)

// setUpTrace makes the file that tracepoints are recorded in. Without it the application does as well, unless somebody
// has asked for a trace.
//
// SPDK: spdk_app_setup_trace
func (a *App) setUpTrace() error {
	if a.o.NoTrace {
		a.noTrace = syscall.ENOTSUP
		return nil
	}
	tr, err := trace.New(trace.Options{
		Name:       a.o.Name,
		ShmID:      a.o.ShmID,
		Cores:      a.cores,
		NumEntries: a.o.NumTraceEntries,
		NumThreads: a.o.NumTraceThreads,
	})
	if err != nil {
		if a.o.TpointGroupMask != "" || a.o.NumTraceEntries != 0 {
			return err
		}
		a.noTrace = err // who asks for it later is told
		return nil
	}
	a.trace = tr
	if a.o.TpointGroupMask == "" {
		return nil
	}
	if err := tr.Enable(a.o.TpointGroupMask); err != nil {
		return err
	}
	a.o.Log.Info("tracepoints are on", "groups", a.o.TpointGroupMask, "look at them with", "spdk_trace -f "+tr.Path())
	return nil
}

// tracer is the trace as the reactors want it.
func (a *App) tracer() reactor.Tracer {
	if a.trace == nil {
		return nil
	}
	return a.trace
}

// endTrace closes the trace once nothing runs any more.
func (a *App) endTrace() {
	if a.trace == nil {
		return
	}
	if err := a.trace.Close(); err != nil {
		a.o.Log.Warn("end of the trace", "error", err)
	}
}

// Trace returns where tracepoints are recorded, nil if that is not to be, see [Options].NoTrace, or cannot be. Call it
// after [App.Start].
//
// SPDK: g_trace_file
func (a *App) Trace() *trace.Trace { return a.trace }

// needTrace is [App.Trace] for those who cannot do without.
func (a *App) needTrace() (*trace.Trace, error) {
	if a.trace == nil {
		return nil, fmt.Errorf("this application has no trace: %w", a.noTrace)
	}
	return a.trace, nil
}
