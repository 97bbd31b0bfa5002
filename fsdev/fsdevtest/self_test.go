package fsdevtest

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// device is a memfs behind something that the test puts in its way.
type device struct {
	*memfs.Memfs
	// change sees every IO first. True: it sees to its completion.
	change func(io *fsdev.IO) bool
	// after sees it when the memfs has completed it, as it mostly does at once, and before the
	// client hears of it.
	after    func(io *fsdev.IO)
	resetErr error
	// destruct, if not nil, is in the place of Destruct.
	destruct func(t *reactor.Thread, done func(t *reactor.Thread, err error))
}

func (d *device) SubmitRequest(ch *iochannel.Channel, io *fsdev.IO) {
	if d.change != nil && d.change(io) {
		return
	}
	d.Memfs.SubmitRequest(ch, io)
	if d.after != nil {
		d.after(io)
	}
}

func (d *device) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	if d.destruct != nil {
		d.destruct(t, done)
		return
	}
	done(t, nil) // the memfs is a device of its own, which Finish unregisters
}

func (d *device) Reset(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	done(t, d.resetErr)
}

// options are those of a memfs in disguise.
func options(d *device) Options {
	o := Options{
		New: func(tb testing.TB, t *reactor.Thread, name string) *fsdev.Fsdev {
			var err error
			if d.Memfs, err = memfs.Create(t, "behind "+name, memfs.Opts{Size: 64 << 20}); err != nil {
				tb.Fatal(err)
			}
			f, err := fsdev.Register(t, name, nil, d)
			if err != nil {
				tb.Fatal(err)
			}
			return f
		},
		RenameFlags: unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT,
		FallocModes: []uint32{
			unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_ZERO_RANGE,
			unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE,
		},
	}
	o.setDefaults()
	return o
}

// TestGoodModule runs the whole suite on a module that passes it.
func TestGoodModule(t *testing.T) { Run(t, options(&device{})) }

// TestModuleThatLacks leaves out what a module does not have.
func TestModuleThatLacks(t *testing.T) {
	d := &device{}
	o := options(d)
	o.Lacks = []fsdev.IOType{
		fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOLink, fsdev.IOSetxattr, fsdev.IOGetxattr, fsdev.IOListxattr,
		fsdev.IORemovexattr, fsdev.IOFlock, fsdev.IOFallocate, fsdev.IOCopyFileRange, fsdev.IOLseek, fsdev.IOStatx,
		fsdev.IOTmpfile, fsdev.IOSyncfs, fsdev.IOGetlk, fsdev.IOSetlk, fsdev.IOIoctl, fsdev.IOPoll,
	}
	d.change = func(io *fsdev.IO) bool {
		if slices.Contains(o.Lacks, io.Type) {
			return ends(io, syscall.ENOSYS)
		}
		if io.Handle == 0 && (io.Type == fsdev.IORead || io.Type == fsdev.IOWrite || io.Type == fsdev.IOReaddir) {
			io.Handle = 1 // is not a handle either
		}
		return false
	}
	d.after = func(io *fsdev.IO) {
		if io.Type == fsdev.IOMount {
			io.Mount = fsdev.MountOpts{MaxWrite: io.Mount.MaxWrite}
		}
	}
	Run(t, o)
}

// TestReadOnlyModule runs the suite on a file system that holds something and can only be read.
func TestReadOnlyModule(t *testing.T) { Run(t, readOnly(func(*fsdev.IO) bool { return false })) }

// readOnly are the options of a read-only file system that change is put in the way of.
func readOnly(change func(io *fsdev.IO) bool) Options {
	d := &device{}
	o := options(d)
	o.Kind = ReadOnly
	create := o.New
	o.New = func(tb testing.TB, t *reactor.Thread, name string) *fsdev.Fsdev {
		d.change = nil
		f := create(tb, t, name)
		h := &reactortest.Harness{Framework: t.Framework(), Threads: []*reactor.Thread{t}, Clock: &reactortest.Clock{}}
		w := &world{TB: tb, o: &o, h: h, dev: f, at: -1}
		c := w.open(0)
		c.plant(c.root, 1)
		c.close()
		w.settle()
		d.change = func(io *fsdev.IO) bool {
			if change(io) {
				return true
			}
			return refuseChange(io)
		}
		return f
	}
	return o
}

// refuseChange completes what would change a file system, if it is about an object that exists
// as far as its number tells.
func refuseChange(io *fsdev.IO) bool {
	const writes = syscall.O_WRONLY | syscall.O_RDWR | syscall.O_TRUNC
	switch io.Type {
	case fsdev.IOFopen:
		if io.Flags&writes == 0 {
			return false
		}
	case fsdev.IOWrite, fsdev.IOFallocate, fsdev.IOCopyFileRange, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORename:
	default:
		if !slices.Contains(changes, io.Type) {
			return false
		}
	}
	if uint32(io.Object) > 1000 || io.Object>>32 != 1 {
		return false // the memfs does not know it either
	}
	io.Complete(syscall.EROFS)
	return true
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed   bool
	messages []string
	cleanups []func()
}

func (r *recorder) Helper()           {}
func (r *recorder) Failed() bool      { return r.failed }
func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }
func (r *recorder) Log(...any)        {}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// record runs a case and returns what it has to say. A panic is a failure too: the layer
// panics when a module does what cannot be reported to anybody.
func record(tb testing.TB, o *Options, c *testCase) *recorder {
	r := &recorder{TB: tb}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, fn := range slices.Backward(r.cleanups) {
				fn()
			}
		}()
		defer func() {
			if p := recover(); p != nil {
				r.failed = true
				r.messages = append(r.messages, fmt.Sprint("panic: ", p))
			}
		}()
		c.run(newWorld(r, o))
	}()
	<-done
	return r
}

// TestTheSuiteFindsFaults gives the suite modules with one fault each.
func TestTheSuiteFindsFaults(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			d := &device{}
			o := options(d)
			o.patience = 50 * time.Millisecond
			if fault.finder == "OperationsThatAreLacking" {
				o.Lacks = []fsdev.IOType{fsdev.IOPoll}
			}
			if fault.change == nil {
				d.destruct = func(*reactor.Thread, func(*reactor.Thread, error)) {}
			} else {
				d.change = func(io *fsdev.IO) bool { return fault.change(d, io) }
			}
			c := caseNamed(t, &o, fault.finder)
			r := record(t, &o, c)
			t.Logf("%s: %.200q", c.name, r.messages)
			if !r.failed {
				t.Errorf("%s does not find it", c.name)
			}
		})
	}
}

// TestEveryCaseHasAFault keeps cases from finding nothing.
func TestEveryCaseHasAFault(t *testing.T) {
	o := options(&device{})
	for _, c := range o.cases() {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.finder == c.name }) {
			t.Errorf("no fault shows that %s finds any", c.name)
		}
	}
}

func caseNamed(tb testing.TB, o *Options, name string) *testCase {
	tb.Helper()
	cases := o.cases()
	i := slices.IndexFunc(cases, func(c testCase) bool { return c.name == name })
	if i < 0 {
		tb.Fatalf("there is no case %q", name)
	}
	return &cases[i]
}

// TestTheSuiteFindsWhatCanBeChanged is about read-only file systems, of which one takes writes.
func TestTheSuiteFindsWhatCanBeChanged(t *testing.T) {
	for _, typ := range []fsdev.IOType{fsdev.IOUnlink, fsdev.IOSetattr, fsdev.IOFopen, fsdev.IOMkdir} {
		o := readOnly(func(io *fsdev.IO) bool { return false })
		change := o.New
		o.New = func(tb testing.TB, t *reactor.Thread, name string) *fsdev.Fsdev {
			f := change(tb, t, name)
			d := f.Device().(*device)
			refuse := d.change
			d.change = func(io *fsdev.IO) bool { return io.Type != typ && refuse(io) }
			return f
		}
		if r := record(t, &o, caseNamed(t, &o, "NothingCanBeChanged")); !r.failed {
			t.Errorf("a file system that is not read-only to %v passes", typ)
		}
	}
}

// TestCasesAreNamedOnce has every case be found by its name, and every kind have some.
func TestCasesAreNamedOnce(t *testing.T) {
	for _, kind := range everyKind {
		o := Options{Kind: kind}
		seen := map[string]bool{}
		for _, c := range o.cases() {
			if seen[c.name] {
				t.Errorf("two cases are called %q", c.name)
			}
			seen[c.name] = true
		}
		if len(seen) < 8 {
			t.Errorf("kind %d has %d cases", kind, len(seen))
		}
	}
}
