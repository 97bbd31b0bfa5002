// Package ebpfmon has the kernel find out two things about this process that it cannot see by itself: who takes the CPU
// from a reactor, and how long FUSE requests wait in the kernel before a reactor reads them.
//
// It assembles four small programs, which need neither clang nor files, and attaches them to tracepoints with the types
// of the running kernel (BTF), so that one build suits kernels of different shape. What they cannot have is told in one
// line ([Error], [Monitor.Missing]); nothing else of the process depends on them.
//
// # Who took the CPU
//
// schedSwitch runs when the scheduler puts one thread in another's place, on any CPU and for any process. Unless the
// CPU is waited for by a reactor, or one of both threads belongs to this process, it ends after reading one word of the
// CPU and the thread group of both. Otherwise, in this order:
//
//   - preempted: would the thread that leaves have gone on? Either the kernel was told to switch at once, or the thread
//     is still runnable.
//   - charge: a reactor waits for this CPU, so the thread that leaves has run at its expense. The time since the last
//     switch here goes to its process's account with that reactor.
//   - leave: the thread that leaves is a reactor. If it would have gone on, it waits for this CPU from now on.
//   - enter: the thread that comes is a reactor. For how long it was away goes into the histogram of its reason.
//
// schedWakeup runs when a thread becomes runnable. If it is a reactor that slept, its sleep is over, and from now on it
// waits for the CPU where it will run: who runs there now is charged for that, the idle task included, which is the
// time that the CPU took to wake up.
//
// So a reactor is in one of four states ([State]), and each time off the CPU is counted once: as preempted, as
// voluntary, or as a wait in the run queue after a wake-up. What the accounts have is what a reactor was preempted for
// and waited after wake-ups, as long as it is pinned; one that moves while it waits is charged to nobody from then on.
// Time that the hypervisor or an interrupt takes without a switch is not seen. A switch that the kernel does not
// report, as happens to one in a few hundred on some virtual machines, costs that one time, and nobody is charged for
// another.
//
// # How long requests wait
//
// fuseSend runs at tracepoint fuse_request_send, when the kernel is about to queue a request for /dev/fuse, and puts
// down the time if the connection is one that is watched. A request in the background comes there when the kernel lets
// it: the wait for that (max_background) is not included. FORGET does not come there at all.
//
// There is no tracepoint where a request is read, nor where its answer begins to be written. Functions could be traced,
// but a kernel may be built or booted so that it forbids that and permits tracepoints; and reads of a reactor that
// polls are many and mostly empty. So the reactor itself puts these two moments down, by the number of the request, in
// memory that it shares with the programs ([Requests]).
//
// fuseEnd runs at tracepoint fuse_request_end, which an answer reaches inside of its write(2), or when the kernel takes
// it from an io_uring. It has all four moments,
// and counts three times: in the queue, in service, and for the reply ([Times]). A request that ends otherwise counts
// as unserved.
//
// # What is shared
//
// Two arrays of the kernel are mapped into the process (layout.go): the process writes which threads and connections
// there are, the programs count. So nothing is asked of the kernel once the programs run, and neither a filter of
// system calls nor lost capabilities matter: a process that locks itself up calls [Open] before. If it executes itself
// anew, it takes [Monitor.Keep] along. Everything is allocated at once, and bounded: 64 reactors with 32 processes
// each, 16 connections, 16384 requests that have not ended; 4 MiB on a machine with two CPUs, 9 MiB from eight on.
//
// Histograms of a reactor have one writer. Those of a connection have one table per share of the CPUs, up to eight, and
// atomic additions.
//
// # What it takes
//
// Linux 5.8 with CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_JIT, on amd64 or arm64, and for FUSE Linux 6.10; CAP_BPF and
// CAP_PERFMON, or root; and the first PID namespace, whose thread numbers the kernel goes by. Programs declare the
// licence "Dual BSD/GPL", since the kernel wants one that is compatible with its own.
package ebpfmon
