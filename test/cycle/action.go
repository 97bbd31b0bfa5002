package cycle

import (
	"fmt"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// opcode is what an action does.
type opcode uint8

const (
	opNone      opcode = iota
	opPoll             // a round of thread t with at most a messages, 0: as many as there may be
	opRest             // rounds of all threads, a messages each, until nobody has anything to do
	opRequest          // thread t: case a, cut in pieces at b
	opOdd              // thread t: opcode a with b bytes of nothing in particular
	opForget           // thread t: a BATCH_FORGET of a entries
	opInterrupt        // thread t: INTERRUPT of the a-th request under way
	opHog              // thread t: requests until it can take no more
	opInit             // thread t: INIT
	opDestroy          // thread t: DESTROY
	opDelete           // thread t: Delete
	opRecreate         // Create, after a Delete
	opRemove           // thread t: unregister the device
	opRegister         // register it again
	opGet              // thread t: get the dispatcher's channel
	opPut              // thread t: put it
	opHold             // what the module keeps from now on: a
	opComplete         // complete the a-th of what it keeps, with error b
	opFail             // the next request of class a fails with error b
	opRefuse           // the module has no channel for thread t: a
	opExhaust          // thread t: take all free IO
	opRefill           // give them back
	opFlood            // fill thread t's room for messages
	opNotify           // the module notifies of a
	opAsk              // retrieve what the client has cached
	opAnswer           // the a-th notification is refused, or answered: b
	opStats            // thread t: read the counters
	opCount
)

// class is a class of requests, from the module's point of view: a bit of opHold.
type class int32

const (
	classOrdinary class = iota
	classMount
	classUmount
	classAbort
	classes
	// stubborn: an abort comes too late. A bit of opHold too.
	stubborn = classes
)

var classNames = [...]string{"requests", "MOUNT", "UMOUNT", "ABORT", "aborts come too late"}

func classOf(io *fsdev.IO) class {
	switch io.Type {
	case fsdev.IOMount:
		return classMount
	case fsdev.IOUmount:
		return classUmount
	case fsdev.IOAbort:
		return classAbort
	}
	return classOrdinary
}

// action is one step of a history.
type action struct {
	op   opcode
	t    int32
	a, b int32
}

// String says in words what is done.
func (a action) String() string {
	on := fmt.Sprintf("thread %d: ", a.t)
	switch a.op {
	case opPoll:
		if a.a == 0 {
			return fmt.Sprintf("poll %d", a.t)
		}
		return fmt.Sprintf("poll %d, %d messages at most", a.t, a.a)
	case opRest:
		return "poll all until nobody has anything to do"
	case opRequest:
		return on + caseOf(a.a).Name()
	case opOdd:
		return on + fmt.Sprintf("%s with %d bytes", fusedispatcher.OpcodeName(uint32(a.a)), a.b)
	case opForget:
		return on + fmt.Sprintf("BATCH_FORGET of %d", a.a)
	case opInterrupt:
		return on + fmt.Sprintf("INTERRUPT of request %d of those under way", a.a)
	case opHog:
		return on + "requests until there is no room"
	case opInit:
		return on + "INIT"
	case opDestroy:
		return on + "DESTROY"
	case opDelete:
		return on + "Delete"
	case opRecreate:
		return "create a dispatcher"
	case opRemove:
		return on + "remove the device"
	case opRegister:
		return "register the device"
	case opGet:
		return on + "get a channel"
	case opPut:
		return on + "put the channel"
	case opHold:
		s := "the module keeps"
		for c := range stubborn + 1 {
			if a.a&(1<<c) != 0 {
				s += " " + classNames[c]
			}
		}
		if a.a == 0 {
			s += " nothing"
		}
		return s
	case opComplete:
		return fmt.Sprintf("complete request %d of those kept: %v", a.a, errnoOf(a.b))
	case opFail:
		return fmt.Sprintf("the next of the module's %s fails: %v", classNames[class(a.a)%classes], badErrno(a.b))
	case opRefuse:
		if a.a == 0 {
			return on + "the module has a channel again"
		}
		return on + "the module has no channel"
	case opExhaust:
		return on + "take all free IO"
	case opRefill:
		return "give the IO back"
	case opFlood:
		return on + "fill the room for messages"
	case opNotify:
		return fmt.Sprintf("notification %d", a.a)
	case opAsk:
		return "ask what the client has cached"
	case opAnswer:
		return fmt.Sprintf("answer question %d", a.a)
	case opStats:
		return on + "read the counters"
	}
	return "nothing"
}

// cases are the good requests there are, and one that takes several operations.
var cases = append(dispatchertest.Cases(), dispatchertest.Case{
	Op: FUSE_SETXATTR, Room: SizeofOutHeader,
	Args:  Bytes(&SetxattrIn{Size: 5, SetxattrFlags: FUSE_SETXATTR_ACL_KILL_SGID}),
	Names: []string{"system.posix_acl_access"}, Payload: []byte("value"),
})

// severalOps is the number of that one.
var severalOps = int32(len(cases) - 1)

func caseOf(a int32) *dispatchertest.Case { return &cases[int(a)%len(cases)] }

// caseNamed returns the number of an opcode's case.
func caseNamed(op uint32) int32 {
	for i := range cases {
		if cases[i].Op == op {
			return int32(i)
		}
	}
	panic("no case of " + fusedispatcher.OpcodeName(op))
}
