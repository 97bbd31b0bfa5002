package uring

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Options of [Open]. The zero value, with Entries, is a ring that any thread may use, one at a time.
type Options struct {
	Entries   uint32 // of the submission queue; the kernel rounds up to a power of two and down to its limit
	CQEntries uint32 // of the completion queue; 0 means twice Entries

	Flags  uint32 // IORING_SETUP_ that the ring must have
	Wanted uint32 // IORING_SETUP_ that the ring has if the kernel knows them

	SQThreadIdle time.Duration // how long the thread of IORING_SETUP_SQPOLL spins before it sleeps; 0 means a second
	SQThreadCPU  uint32        // where it runs, with IORING_SETUP_SQ_AFF
	AttachWQ     *Ring         // whose workers (and SQPOLL thread) to share instead of having own ones; may be nil
}

// ReactorFlags is what [Options.Wanted] of a ring should be that only one locked thread uses: completions neither
// interrupt the thread nor are run at other times than when it asks for them.
const ReactorFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
	IORING_SETUP_NO_SQARRAY

// unsupported are flags that change what the queues look like, and IOPOLL, which would need O_DIRECT everywhere.
const unsupported = IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL | IORING_SETUP_NO_MMAP |
	IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED | IORING_SETUP_SQ_REWIND

// newest lists the flags that a kernel may lack, the newest first: they are given up in this order.
var newest = []uint32{IORING_SETUP_NO_SQARRAY, IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER,
	IORING_SETUP_CQE32, IORING_SETUP_SQE128, IORING_SETUP_COOP_TASKRUN}

// params turns options into the kernel's argument, with the given flags of Wanted.
func (o *Options) params(wanted uint32) Params {
	p := Params{Flags: o.Flags | wanted | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL}
	if o.CQEntries != 0 {
		p.Flags |= IORING_SETUP_CQSIZE
		p.CqEntries = o.CQEntries
	}
	if p.Flags&IORING_SETUP_SQPOLL != 0 {
		p.SqThreadIdle = uint32(o.SQThreadIdle.Milliseconds())
		p.SqThreadCPU = o.SQThreadCPU
	} else if p.Flags&(IORING_SETUP_COOP_TASKRUN|IORING_SETUP_DEFER_TASKRUN) != 0 {
		// The queues are polled in memory: the kernel must say there that it has something.
		p.Flags |= IORING_SETUP_TASKRUN_FLAG
	}
	if o.AttachWQ != nil {
		p.Flags |= IORING_SETUP_ATTACH_WQ
		p.WqFd = uint32(o.AttachWQ.fd)
	}
	return p
}

func (o *Options) check() error {
	if bad := (o.Flags | o.Wanted) & unsupported; bad != 0 {
		return fmt.Errorf("uring: flags %#x of a ring are not supported here: %w", bad, syscall.EINVAL)
	}
	if o.Entries == 0 {
		return fmt.Errorf("uring: a ring of 0 entries: %w", syscall.EINVAL)
	}
	if o.CQEntries != 0 && o.CQEntries < o.Entries {
		return fmt.Errorf("uring: %d completions are fewer than %d submissions: %w", o.CQEntries, o.Entries, syscall.EINVAL)
	}
	return nil
}

var setupNames = []string{"IOPOLL", "SQPOLL", "SQ_AFF", "CQSIZE", "CLAMP", "ATTACH_WQ", "R_DISABLED", "SUBMIT_ALL",
	"COOP_TASKRUN", "TASKRUN_FLAG", "SQE128", "CQE32", "SINGLE_ISSUER", "DEFER_TASKRUN", "NO_MMAP",
	"REGISTERED_FD_ONLY", "NO_SQARRAY", "HYBRID_IOPOLL", "CQE_MIXED", "SQE_MIXED", "SQ_REWIND"}

// FlagNames spells out IORING_SETUP_ flags, for logs: "SQPOLL|CLAMP".
func FlagNames(flags uint32) string {
	var names []string
	for i := range 32 {
		switch {
		case flags&(1<<i) == 0:
		case i < len(setupNames):
			names = append(names, setupNames[i])
		default:
			names = append(names, fmt.Sprintf("%#x", 1<<i))
		}
	}
	return strings.Join(names, "|")
}
