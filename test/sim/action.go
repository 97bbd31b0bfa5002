package sim

import (
	"fmt"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// opcode is what an action does.
type opcode uint8

const (
	opNone       opcode = iota
	opPoll              // a round of reactor t, or of thread t in a world without reactors
	opAdvance           // the clock goes on by a ns
	opThread            // create thread a on the cores of mask b, 0 for any
	opExit              // ask the thread to exit
	opMask              // move the thread to the cores of mask a
	opBind              // bind thread a, or not: b
	opRegister          // register device a under key b
	opUnregister        // unregister device a
	opGet               // get a channel of device a, by its key if b
	opPut               // put it
	opRef               // one more reference to it
	opFail              // in a create: fail
	opForEach           // iteration a over the channels of device b
	opLater             // in a visit: continue later
	opStatus            // in a visit: continue with an error
	opContinue          // continue iteration a, with an error if b
	opWalk              // walk a over the threads
	opSend              // c messages to thread a in manner b
	opFlood             // c messages to thread a, waiting for room, in manner b, or in turns
	opCritical          // a critical message to thread a
	opWait              // wait for room on thread a, c times
	opPoller            // register poller a with a period of b ns
	opPause             // pause poller a
	opResume            // resume poller a
	opStop              // unregister poller a
	opBusy              // in a poller: say that there was work
	opReliance          // let poller a rely on an interrupt, with a function if b
	opAfter             // register a post-poller handler
	opLock              // take a spinlock and give it back
	opEvent             // c events to reactor a, in manner b
	opEachCore          // visit all reactors
	opMode              // switch reactor a to mode b
	opInterrupt         // register interrupt a, an eventfd that the framework reads if b
	opRing              // make interrupt a ready
	opSilence           // unregister interrupt a
	opNap               // rely on interrupts from now on, or not: a; for threads polled by hand
	opIO                // an operation on the thread's channel of device a, done by thread b
	opRemove            // hot-remove device a
	opRelease           // let go of everything and exit, at the end of a history
	opCount
)

// Manners of sending, of [opSend] and [opEvent].
const (
	sendPlain = iota // SendMsg, SendEvent from the thread
	sendFrom         // SendMsgFrom, SendEventFrom
	sendOutside
	sendRetry
	sendExec
	sendDefer
	sendManners
)

var mannerNames = [...]string{"", " by SendMsgFrom", " from outside", " by SendMsgRetry", " by ExecMsg", " by Defer"}

// place is where an action is done.
type place uint8

const (
	direct      place = iota // by thread t between two rounds
	inMessage                // by thread t in a message
	inCritical               // by thread t in its next critical message
	inAfter                  // by thread t in its next post-poller handler
	inPoller                 // in the next call of poller at
	inVisit                  // in the next visit of iteration at
	inDone                   // at the end of iteration at
	inCreate                 // in the next creation of a channel of device at
	inDestroy                // in the next destruction of one
	inGone                   // in the unregister callback of device at
	inWalk                   // in the next visit of walk at
	inWalked                 // at the end of walk at
	inEvent                  // in the next event on reactor at
	inInterrupt              // in the next call of interrupt at
	placeCount
)

// action is one step of a history. Threads, devices and so on are numbers, see the opcodes.
type action struct {
	op    opcode
	in    place
	at    int32
	t     int32
	a, b  int32
	c     int32
	nanos int64 // of opAdvance and opPoller
}

// String says in words what is done and where.
func (a action) String() string {
	where := ""
	switch a.in {
	case direct:
		switch a.op {
		case opPoll, opAdvance:
			return a.what()
		}
		where = fmt.Sprintf("thread %d", a.t)
		if a.t < 0 {
			where = "outside"
		}
	case inMessage:
		where = fmt.Sprintf("thread %d, in a message", a.t)
	case inCritical:
		where = fmt.Sprintf("thread %d, in its next critical message", a.t)
	case inAfter:
		where = fmt.Sprintf("thread %d, in its next post-poller handler", a.t)
	case inPoller:
		where = fmt.Sprintf("in the next call of poller %d", a.at)
	case inVisit:
		where = fmt.Sprintf("in the next visit of iteration %d", a.at)
	case inDone:
		where = fmt.Sprintf("at the end of iteration %d", a.at)
	case inCreate:
		where = fmt.Sprintf("in the next create of device %d", a.at)
	case inDestroy:
		where = fmt.Sprintf("in the next destroy of device %d", a.at)
	case inGone:
		where = fmt.Sprintf("in the unregister callback of device %d", a.at)
	case inWalk:
		where = fmt.Sprintf("in the next visit of walk %d", a.at)
	case inWalked:
		where = fmt.Sprintf("at the end of walk %d", a.at)
	case inInterrupt:
		where = fmt.Sprintf("in the next call of interrupt %d", a.at)
	case inEvent:
		where = fmt.Sprintf("in the next event on reactor %d", a.at)
	}
	return where + ": " + a.what()
}

func (a action) what() string {
	switch a.op {
	case opPoll:
		return fmt.Sprintf("poll %d", a.t)
	case opAdvance:
		return fmt.Sprintf("%v pass", time.Duration(a.nanos))
	case opThread:
		return fmt.Sprintf("create thread %d on cores %#x", a.a, a.b)
	case opExit:
		return "exit"
	case opMask:
		return fmt.Sprintf("move to cores %#x", a.a)
	case opBind:
		return fmt.Sprintf("bind thread %d: %v", a.a, a.b != 0)
	case opRegister:
		return fmt.Sprintf("register device %d under key %d", a.a, a.b)
	case opUnregister:
		return fmt.Sprintf("unregister device %d", a.a)
	case opGet:
		return fmt.Sprintf("get a channel of device %d", a.a)
	case opPut:
		return fmt.Sprintf("put the channel of device %d", a.a)
	case opRef:
		return fmt.Sprintf("reference the channel of device %d", a.a)
	case opFail:
		return "fail"
	case opForEach:
		return fmt.Sprintf("begin iteration %d over device %d", a.a, a.b)
	case opLater:
		return "continue later"
	case opStatus:
		return "continue with EIO"
	case opContinue:
		return fmt.Sprintf("continue iteration %d, error %v", a.a, a.b != 0)
	case opWalk:
		return fmt.Sprintf("begin walk %d over the threads", a.a)
	case opSend:
		return fmt.Sprintf("%d messages to thread %d%s", a.c, a.a, mannerNames[a.b])
	case opFlood:
		how := " by turns"
		if a.b < sendManners {
			how = mannerNames[a.b]
		}
		return fmt.Sprintf("%d messages to thread %d%s, waiting for room", a.c, a.a, how)
	case opCritical:
		return fmt.Sprintf("critical message to thread %d", a.a)
	case opWait:
		return fmt.Sprintf("wait for room on thread %d, %d times", a.a, a.c)
	case opPoller:
		return fmt.Sprintf("register poller %d, period %v", a.a, time.Duration(a.nanos))
	case opPause:
		return fmt.Sprintf("pause poller %d", a.a)
	case opResume:
		return fmt.Sprintf("resume poller %d", a.a)
	case opStop:
		return fmt.Sprintf("unregister poller %d", a.a)
	case opBusy:
		return "be busy"
	case opReliance:
		return fmt.Sprintf("poller %d relies on an interrupt, function %v", a.a, a.b != 0)
	case opAfter:
		return "register a post-poller handler"
	case opLock:
		return "lock and unlock"
	case opEvent:
		return fmt.Sprintf("%d events to reactor %d%s", a.c, a.a, mannerNames[a.b])
	case opEachCore:
		return "visit all reactors"
	case opMode:
		return fmt.Sprintf("switch reactor %d to %s", a.a, reactor.Mode(a.b))
	case opInterrupt:
		return fmt.Sprintf("register interrupt %d, read by the framework %v", a.a, a.b != 0)
	case opRing:
		return fmt.Sprintf("make interrupt %d ready", a.a)
	case opSilence:
		return fmt.Sprintf("unregister interrupt %d", a.a)
	case opNap:
		return fmt.Sprintf("rely on interrupts: %v", a.a != 0)
	case opIO:
		return fmt.Sprintf("IO on device %d, served by thread %d", a.a, a.b)
	case opRemove:
		return fmt.Sprintf("hot-remove device %d", a.a)
	}
	return "let go of everything and exit"
}

// needsThread says whether an action can only be done by a thread.
func (a action) needsThread() bool {
	switch a.op {
	case opThread, opBind, opMode, opRing, opEachCore, opFail:
		return false
	case opSend, opEvent:
		return a.b != sendOutside && !(a.op == opEvent && a.b == sendFrom && a.in == inEvent)
	}
	return true
}

// inForce says whether a thread that is being forced to exit can still do it.
func (a action) inForce() bool {
	switch a.op {
	case opPut, opContinue, opLock, opBusy, opLater, opStatus, opPause, opResume, opStop:
		return true
	case opSend:
		return a.b != sendRetry
	}
	return !a.needsThread()
}
