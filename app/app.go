package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/trace"
)

// Options configure an application. The zero value is one reactor on the first CPU that
// the process may use, in hybrid mode.
//
// SPDK: struct spdk_app_opts
type Options struct {
	// Name is what the application calls itself; empty means the program's name.
	Name string
	// CPUMask has the CPUs to run a reactor on. Nil means the first CPU that the process
	// may use.
	//
	// SPDK: reactor_mask
	CPUMask *reactor.Cpuset
	// MainCore is the CPU of CPUMask whose reactor has the app thread; nil means the first.
	//
	// SPDK: main_core
	MainCore *int
	// MsgRingSize is how many messages can wait for a thread, see [reactor.Options]; 0 means its default.
	//
	// SPDK: msg_mempool_size, which is for all threads together
	MsgRingSize int
	// NoCoreDump has the kernel write no core file when the process crashes. Otherwise that is left to the process's
	// limit.
	//
	// SPDK: enable_coredump
	NoCoreDump bool
	// Mode is what reactors do when they have nothing to do.
	Mode reactor.Mode
	// NoPin leaves the reactors unpinned, see [reactor.Options].
	NoPin bool
	// DisableCPUMaskLocks has the application not claim its CPUs. Otherwise each pinned
	// reactor's CPU is locked by a file in [reactor.CoreLockDir], so that two applications,
	// SPDK's included, do not spin on one CPU without knowing.
	//
	// SPDK: disable_cpumask_locks
	DisableCPUMaskLocks bool
	// CPUMaskLocksHeld says that somebody else has claimed the CPUs for as long as the process lives: the application
	// does not, and framework_disable_cpumask_locks fails. Not in SPDK.
	CPUMaskLocksHeld bool
	// Fsdev sizes the pools of the fsdev layer.
	Fsdev fsdev.Opts
	// Iobuf sizes the pools of data buffers, unless iobuf_set_options does.
	Iobuf iobuf.Opts
	// DisableSignalHandlers leaves SIGINT and SIGTERM alone.
	//
	// SPDK: disable_signal_handlers
	DisableSignalHandlers bool
	// Shutdown, if not nil, is called on the app thread at the first SIGINT or SIGTERM, in
	// place of Stop(nil). It has to see to it that [App.Stop] is called.
	//
	// SPDK: shutdown_cb
	Shutdown func(t *reactor.Thread, a *App)
	// HangTime is how long the end may take until the log says what it waits for, and what threads hold; 0 means 5
	// seconds. Not in SPDK.
	HangTime time.Duration
	// Subsystems are brought up in addition to those of [RegisterSubsystem].
	Subsystems []Subsystem
	// RPCSocket is the Unix socket at which the application can be driven by JSON-RPC, as with SPDK's rpc.py. "" means
	// none. SPDK's default is [rpc.DefaultSocket].
	//
	// SPDK: rpc_addr
	RPCSocket string
	// RPCBound is a socket that is listened at already, in the place of RPCSocket, for a process that has given up the
	// right to make one. It belongs to the application once that serves it; see [rpc.Socket.Close]. Not in SPDK.
	RPCBound *rpc.Socket
	// RPCSocketOptional goes on without the socket if it cannot be had, because another application has it for
	// instance; see [App.RPCError]. With WaitForRPC it does not count. Not in SPDK.
	RPCSocketOptional bool
	// RPCListen says who may use the socket, and more. Not in SPDK.
	RPCListen rpc.ListenOptions
	// RPCAllowlist names the methods that may be called; nil means all.
	//
	// SPDK: rpc_allowlist
	RPCAllowlist []string
	// WaitForRPC brings the subsystems up only when framework_start_init is called, so that they can be configured
	// before.
	//
	// SPDK: delay_subsystem_init
	WaitForRPC bool
	// ConfigFile is a file of calls to be made on the way up, in the form of SPDK's save_config. "" means none.
	//
	// SPDK: json_config_file
	ConfigFile string
	// Config is the same as text. One of both can be given.
	//
	// SPDK: json_data
	Config []byte
	// ConfigName is what errors call Config, as they would a file. Not in SPDK.
	ConfigName string
	// IgnoreConfigErrors goes on after calls of the configuration that fail.
	//
	// SPDK: json_config_ignore_errors
	IgnoreConfigErrors bool
	// TpointGroupMask has tracepoints on from the start, see [trace.Trace.Enable] for its form. "" means none.
	//
	// SPDK: tpoint_group_mask
	TpointGroupMask string
	// NumTraceEntries is how many entries of a trace are kept for each reactor, a power of two; 0 means
	// [trace.DefaultNumEntries].
	//
	// SPDK: num_entries
	NumTraceEntries uint64
	// NumTraceThreads is how many goroutines that are no reactors can record, see [trace.Trace.RegisterUserThread].
	//
	// SPDK: num_trace_threads
	NumTraceThreads int
	// NoTrace has no trace, and so no file for one, which otherwise takes up half a megabyte of shared memory, and more
	// when the first tracepoint is turned on. A trace that none of these options has asked for, and that cannot be had,
	// is done without.
	//
	// SPDK: num_entries of 0
	NoTrace bool
	// ShmID is in the names of files in shared memory, instead of the number of the process, if it is not nil.
	//
	// SPDK: shm_id
	ShmID *int
	// Log takes reports; nil means slog.Default. What is less important than PrintLevel does not get there, and what is
	// less than [log.Notice] only if the flag of its component is set.
	Log *slog.Logger
	// PrintLevel is the least important level that is printed, that is goes to Log. The zero value is [log.Notice].
	//
	// SPDK: print_level
	PrintLevel log.Level
	// LogFlags are components that say more, see [log.RegisterFlag].
	//
	// SPDK: --logflag
	LogFlags []string
	// LogSink, if not nil, gets the log too, from the level on that log_set_level sets. It can be a [log.Opener].
	//
	// SPDK: log
	LogSink slog.Handler
}

// StartFunc is the application's beginning. It runs on the app thread when everything is up,
// and must not block. An error stops the application.
//
// SPDK: spdk_msg_fn start_fn of spdk_app_start
type StartFunc func(t *reactor.Thread, a *App) error

// ErrStopped is returned by operations that came after the application had been stopped.
//
// Not in SPDK: there the callback is not called.
var ErrStopped = errors.New("app: stopped")

// App is one running application.
//
// Not in SPDK, where it is the process.
type App struct {
	o       Options
	cores   []int
	fw      *reactor.Framework
	thread  *reactor.Thread
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
	done    chan struct{} // closed when everything has ended
	running []*Subsystem  // initialised, in order; changed under mu by who brings up and takes down, who need not lock
	locks   coreLocks
	control control
	logging *log.Settings
	stat    procStat     // of the CPUs when it started
	trace   *trace.Trace // nil if there is none
	noTrace error        // why
	notify  Notify

	mu       sync.Mutex
	ending   ending
	stopping bool
	err      error // the first error that anybody gave
}

// New checks the options. Nothing runs yet.
//
// Errors wrap EINVAL: a CPU that the process may not use, subsystems that depend on each
// other or on one that does not exist, a configuration that is none; or what the kernel says when
// it is read.
//
// SPDK: the first part of spdk_app_start
func New(o Options) (*App, error) {
	if o.Name == "" {
		o.Name = filepath.Base(os.Args[0])
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	allowed, err := AllowedCPUs()
	if err != nil {
		return nil, err
	}
	cores := allowed.CPUs()[:1]
	if o.CPUMask != nil {
		cores = o.CPUMask.CPUs()
		if err := CheckCPUs(o.CPUMask, allowed); err != nil && !o.NoPin {
			return nil, fmt.Errorf("app: %w", err)
		}
	}
	if len(cores) == 0 {
		return nil, fmt.Errorf("app: the CPU mask is empty: %w", syscall.EINVAL)
	}
	if o.MainCore != nil {
		i := slices.Index(cores, *o.MainCore)
		if i < 0 {
			return nil, fmt.Errorf("app: the main core, %d, has no reactor: %w", *o.MainCore, syscall.EINVAL)
		}
		cores = slices.Insert(slices.Delete(slices.Clone(cores), i, i+1), 0, *o.MainCore)
	}
	if _, err := sortSubsystems(allSubsystems(&o)); err != nil {
		return nil, err
	}
	if err := o.checkControl(); err != nil {
		return nil, err
	}
	a := &App{o: o, cores: cores, done: make(chan struct{})}
	a.notify.registerTypes()
	a.ending.workers = map[string]int{}
	if err := a.setUpLog(); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	a.control.start = make(chan *startInit, 1)
	if err := a.readConfig(); err != nil {
		return nil, err
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Run starts an application, waits until it has stopped, and returns the error that
// stopped it, if any. Call it from a plain goroutine.
//
// SPDK: spdk_app_start followed by spdk_app_fini
func Run(o Options, start StartFunc) error {
	a, err := New(o)
	if err != nil {
		return err
	}
	if err := a.Start(start); err != nil {
		return err
	}
	return a.Wait()
}

// Start brings everything up and calls start on the app thread. On an error everything
// is down again. With [Options].WaitForRPC it waits for the call of framework_start_init. Call it
// once, from a plain goroutine.
//
// SPDK: spdk_app_start
func (a *App) Start(start StartFunc) error {
	acquireProcs(len(a.cores))
	err := log.Open(a.o.LogSink)
	if err == nil {
		if err = a.startReactors(); err != nil {
			err = errors.Join(err, log.Close(a.o.LogSink))
		}
	}
	if err != nil {
		releaseProcs(len(a.cores))
		a.cancel()
		close(a.done)
		return err
	}
	var signals *signalWatch
	if !a.o.DisableSignalHandlers {
		signals = watchSignals(a)
	}
	err = a.bringUp(start)
	if err != nil {
		a.Stop(err)
	}
	go a.finish(signals)
	if err != nil {
		return a.Wait()
	}
	return nil
}

func (a *App) startReactors() (err error) {
	if !a.o.DisableCPUMaskLocks && !a.o.CPUMaskLocksHeld && !a.o.NoPin {
		if err := a.locks.lock(a.cores); err != nil {
			return fmt.Errorf("app: %w", err)
		}
		defer func() {
			if err != nil {
				a.unlockCores()
			}
		}()
	}
	a.stat = readProcStat()
	if a.o.NoCoreDump {
		if err := noCoreDump(); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil {
			a.endTrace()
		}
	}()
	if err := a.setUpTrace(); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	fw, err := reactor.NewFramework(reactor.Options{
		Cores: a.cores, Mode: a.o.Mode, NoPin: a.o.NoPin, MsgRingSize: a.o.MsgRingSize, Tracer: a.tracer(), Log: a.o.Log,
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	fw.Ext(appKey, func() any { return a })
	// The app thread stays on the main core, as in SPDK.
	a.thread, err = fw.CreateThread("app_thread", reactor.NewCpuset(a.cores[0]))
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	if err := fw.Start(); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.fw = fw
	a.control.svc = rpc.NewService(a.thread, a.o.Log)
	a.control.svc.SetAllowlist(a.o.RPCAllowlist)
	return nil
}

func (a *App) unlockCores() {
	if err := a.locks.unlock(); err != nil {
		a.o.Log.Warn("the locks of the CPUs could not be given back", "error", err)
	}
}

// finish waits for the end of the application and takes it down.
func (a *App) finish(signals *signalWatch) {
	<-a.ctx.Done()
	ended := a.watchEnd()
	a.setStage("the RPC server")
	a.closeControl()
	a.setStage("goroutines")
	a.workers.Wait()
	a.finiSubsystems()
	a.setStage("threads, which are forced to exit 5 seconds from here on")
	a.fw.Stop()
	ended()
	a.endTrace()
	a.unlockCores()
	releaseProcs(len(a.cores))
	if signals != nil {
		signals.stop()
	}
	if err := log.Close(a.o.LogSink); err != nil {
		a.Stop(fmt.Errorf("app: end of the log: %w", err))
	}
	close(a.done)
}

// Stop asks the application to end, and returns at once. The first err that is not nil,
// from whichever call, is what [Run] and [App.Wait] return. It may be called from any
// goroutine, reactors included, any number of times.
//
// SPDK: spdk_app_stop
func (a *App) Stop(err error) {
	a.mu.Lock()
	a.stopping = true
	if a.err == nil {
		a.err = err
	}
	a.mu.Unlock()
	a.cancel()
}

// Wait waits until everything has ended and returns the error that stopped it, if any.
//
// SPDK: the return of spdk_app_start
func (a *App) Wait() error {
	<-a.done
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Go runs fn in a plain goroutine, for what must not run on a reactor: mounts, sockets,
// files. The application does not take its subsystems down before fn has returned; fn
// returns soon after ctx has ended. An error of fn stops the application. Go returns
// [ErrStopped], and does not call fn, if the application is stopping already.
//
// Not in SPDK, where control-plane work polls on the app thread.
func (a *App) Go(fn func(ctx context.Context) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping {
		return ErrStopped
	}
	a.workers.Add(1)
	name := funcName(runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name())
	a.ending.workers[name]++
	go func() {
		defer a.workerEnded(name)
		if err := fn(a.ctx); err != nil {
			a.Stop(err)
		}
	}()
	return nil
}

func (a *App) workerEnded(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending.workers[name]--; a.ending.workers[name] == 0 {
		delete(a.ending.workers, name)
	}
	a.workers.Done()
}

// Context ends when the application has been asked to stop.
//
// Not in SPDK.
func (a *App) Context() context.Context { return a.ctx }

// ShmID returns what stands for the application in the names of files in shared memory, nil if that is the number of
// the process.
//
// SPDK: spdk_app_get_shm_id
func (a *App) ShmID() *int { return a.o.ShmID }

// Framework returns the application's reactors and threads. It is nil before [App.Start].
//
// Not in SPDK, where it is the process.
func (a *App) Framework() *reactor.Framework { return a.fw }

// Thread returns the app thread, nil before [App.Start].
//
// SPDK: spdk_thread_get_app_thread
func (a *App) Thread() *reactor.Thread { return a.thread }

// Cores returns the CPUs of the reactors, the main core first.
//
// SPDK: spdk_app_get_core_mask
func (a *App) Cores() []int { return a.cores }

// Log returns the application's log. It must not be used on a reactor.
//
// Not in SPDK.
func (a *App) Log() *slog.Logger { return a.o.Log }
