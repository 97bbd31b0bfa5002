package fsdevtest

import (
	"slices"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

// Kind is how much a module's file systems can do, and so how much is asked of them.
type Kind int

const (
	// Full file systems keep what they are given.
	Full Kind = iota
	// ReadOnly file systems hold something already, and refuse every change with EROFS.
	ReadOnly
	// NoOp file systems keep nothing. Only the contract of modules is checked, not what
	// operations do.
	NoOp
)

// Options describe the module.
type Options struct {
	// New creates a device of that name, empty unless it is ReadOnly, on the app thread t,
	// whose framework has an initialised fsdev layer. It fails the test if it cannot. The
	// suite unregisters the device; what New leaves to tb.Cleanup is called after that.
	New func(tb testing.TB, t *reactor.Thread, name string) *fsdev.Fsdev

	Kind Kind
	// Lacks are the operations that the module does not have: it must answer ENOSYS or
	// EOPNOTSUPP to them, and the cases that need them are left out.
	Lacks []fsdev.IOType
	// RenameFlags are the RENAME_* that it knows; others must be EINVAL.
	RenameFlags uint32
	// FallocModes are the modes of FALLOCATE that it knows beside 0.
	FallocModes []uint32
	// XattrPrefix begins the names of extended attributes that it stores on regular files.
	// The default is "user.".
	XattrPrefix string
	// MayGoStale says that a file which has neither names nor handles may be ESTALE to those
	// who know it.
	MayGoStale bool

	// patience is how long an operation may take.
	patience time.Duration
}

func (o *Options) setDefaults() {
	if o.XattrPrefix == "" {
		o.XattrPrefix = "user."
	}
	if o.patience == 0 {
		o.patience = 10 * time.Second
	}
}

// lacks says whether one of these operations is not there.
func (o *Options) lacks(types ...fsdev.IOType) bool {
	return slices.ContainsFunc(types, func(t fsdev.IOType) bool { return slices.Contains(o.Lacks, t) })
}

// testCase is one thing that is checked.
type testCase struct {
	name  string
	kinds []Kind
	needs []fsdev.IOType
	run   func(w *world)
}

var (
	everyKind = []Kind{Full, ReadOnly, NoOp}
	onlyFull  = []Kind{Full}
)

// cases returns what applies to a module.
func (o *Options) cases() (apply []testCase) {
	for _, list := range [][]testCase{
		contractCases, refCases, removalCases, nameCases, renameCases, attrCases, dataCases, spaceCases, dirCases, xattrCases,
		flockCases, rangeLockCases, optionalCases, readOnlyCases,
	} {
		for _, c := range list {
			if slices.Contains(c.kinds, o.Kind) && !o.lacks(c.needs...) {
				apply = append(apply, c)
			}
		}
	}
	return apply
}

// Run runs the suite.
func Run(t *testing.T, o Options) {
	o.setDefaults()
	for _, c := range o.cases() {
		t.Run(c.name, func(t *testing.T) { c.run(newWorld(t, &o)) })
	}
}
