package cycle

import "syscall"

// lie is something wrong that is put into the book on purpose, to see that it is found.
type lie int

const (
	lieNone    lie = iota
	lieMount       // the module forgets an UMOUNT while it is being removed
	lieLost        // the completion of an INIT is not noted if its thread has another request under way
	lieChannel     // the module counts a channel less for each that it refuses
	lieEvent       // the event of a removal is not noted on three threads or more
	lieErrno       // a request that meets a session is said to be refused, if its thread has two others
	lieOrder       // of two changes that end in one round the second is noted first
	lieCount
)

// forgets says whether the module forgets an UMOUNT.
func (l lie) forgets(d *device) bool { return l == lieMount && d.removing }

// loses says whether a completion is not noted.
func (l lie) loses(w *world, r *request) bool {
	return l == lieLost && r.change != nil && r.change.kind == initKind && w.underWay(r.thread) > 1
}

// errno is what a request is said to end with.
func (l lie) errno(w *world, r *request) syscall.Errno {
	if l == lieErrno && r.state == session && w.underWay(r.thread) > 1 {
		return syscall.ENOTCONN
	}
	return r.Errno
}
