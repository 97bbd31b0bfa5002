package memfs

import (
	"sync/atomic"
	"syscall"
)

// errBusy says that a lock was not to be had: nothing has been changed, try the whole
// operation again. It never leaves the package.
const errBusy = syscall.Errno(0xfffe)

// The bits of a tryLock's word. The low bits count the readers.
const (
	lockWriter  = 1 << 31
	lockDead    = 1 << 30
	lockWanted  = 1 << 29
	lockReaders = lockWanted - 1
)

// tryLock is a readers/writer lock that is never waited for: who does not get it at once is
// told so and comes back later. Its zero value is free.
//
// A lock can be declared dead, once. From then on nobody gets it (ESTALE), and whoever lets
// go of it last, or the declarer if nobody held it, learns that it was the last: that is the
// moment to free what the lock protects.
//
// A writer that fails leaves a wish behind that turns readers away, so that a file under
// constant reading can be written. Readers that came back (insist) ignore the wish, so that
// a wish whose owner gave up cannot shut them out.
type tryLock struct {
	word atomic.Uint32
}

// rlock takes the lock for reading. Errors: errBusy, ESTALE.
func (k *tryLock) rlock(insist bool) syscall.Errno {
	for {
		w := k.word.Load()
		switch {
		case w&lockDead != 0:
			return syscall.ESTALE
		case w&lockWriter != 0, w&lockWanted != 0 && !insist:
			return errBusy
		}
		next := w + 1
		if w&lockReaders == 0 {
			next &^= lockWanted // its owner could have had the lock by now
		}
		if k.word.CompareAndSwap(w, next) {
			return 0
		}
	}
}

// lock takes the lock for writing. Errors: errBusy, ESTALE.
func (k *tryLock) lock() syscall.Errno {
	for {
		w := k.word.Load()
		switch {
		case w&lockDead != 0:
			return syscall.ESTALE
		case w&(lockWriter|lockReaders) != 0:
			if w&lockWanted == 0 && !k.word.CompareAndSwap(w, w|lockWanted) {
				continue
			}
			return errBusy
		}
		if k.word.CompareAndSwap(w, lockWriter) {
			return 0
		}
	}
}

// runlock lets go of the lock after rlock and says whether the caller has to free what it
// protects.
func (k *tryLock) runlock() (last bool) {
	w := k.word.Add(^uint32(0))
	return w&lockDead != 0 && w&lockReaders == 0
}

// unlock lets go of the lock after lock and says whether the caller has to free what it
// protects.
func (k *tryLock) unlock() (last bool) {
	return k.word.And(^uint32(lockWriter))&lockDead != 0
}

// kill declares the lock dead. It is called once in the lock's life, by anyone, and says
// whether the caller has to free what the lock protects.
func (k *tryLock) kill() (last bool) {
	w := k.word.Or(lockDead)
	return w&(lockWriter|lockReaders) == 0
}
