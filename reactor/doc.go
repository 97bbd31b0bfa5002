// Package reactor runs cooperative threads on pinned cores: SPDK's reactors, spdk_threads,
// pollers and messages.
//
// # Who runs what
//
// A [Framework] owns everything; several can live in one process. [Framework.Start] starts
// one [Reactor] per core: a goroutine locked to an OS thread that is pinned to the core. A
// [Thread] is not an OS thread but a set of messages and pollers that one reactor runs;
// everything that belongs to a Thread is touched only from there, so that it needs no lock.
// In a framework without cores a Thread is polled by hand, and with [Options.Manual] a Reactor
// is, see reactortest.
//
// There is no hidden current thread. Every callback receives the Thread that it runs on,
// and everything that needs "the caller's thread" takes it as an argument.
//
// # A round
//
// A round of a reactor runs at most 8 events ([Reactor.SendEvent]) and then polls its threads.
// A round of a thread, [Thread.Poll], runs, in this order: the critical message, if there is
// one; deferred calls ([Thread.Defer]); at most 8 messages; every active poller, the last
// registered first; timed pollers that are due, by expiry. A callback must not block: while it
// runs, nothing else on its core does. One that takes longer than [Options.StallThreshold] is
// reported in the log, with its name.
//
// # Messages
//
// [Thread.SendMsg] may be called from any goroutine. Messages are values in a bounded ring;
// a full ring is refused with ENOMEM, which is the sender's to handle, and a thread that has
// exited answers ESRCH. Messages of one sender arrive in order. [Thread.SendMsgFrom] is the
// same for a sender that knows which Thread it runs on and writes to no shared memory when
// both are on one reactor. A function and a pointer travel without an allocation; a closure
// or a value in an interface would cost one.
//
// Who was refused can wait for room: a thread with [Thread.WaitForRoom], which calls back; a
// goroutine with [Thread.SendMsgWait], which blocks it. Those who wait are called in order, as
// many as there is room for. [Thread.SendMsgRetry] does the waiting for a single message.
//
// # Sleeping
//
// In [ModePoll] a reactor spins. In [ModeHybrid], the default, it spins for
// [Options.HybridSpin] after the last work and then sleeps until a message, a file
// descriptor ([Thread.RegisterInterrupt]) or a timed poller wakes it; while it spins it
// lets others have the CPU, and does not spin where these take long. In [ModeInterrupt] it
// sleeps as soon as a round finds no work. [Reactor.SetMode] switches while everything runs.
// A poller that has to be called all the time keeps its reactor from sleeping, unless it says
// that an interrupt stands in for it ([Poller.RegisterInterrupt]). A sleeping reactor is woken
// by at most one write to its eventfd.
//
// # Who runs where
//
// A new thread goes to one of the reactors that its mask allows, taking turns.
// [Thread.SetCpumask] moves it, unless it is bound ([Thread.Bind]), and so does the
// [Scheduler] that a framework has been given ([Framework.SetScheduler]), once a period: it
// sees what every core and thread did, and says who shall run where and which core shall
// sleep. Package reactor/scheduler has SPDK's.
package reactor
