// Package trace records what a running application does, entry by entry, in shared memory, where another process reads
// it at any time: while the application runs, and after it has died. It is SPDK's trace library, with SPDK's file
// format: its program spdk_trace reads our files, and ours (app/spdk_trace) reads SPDK's.
//
// A tracepoint is a place in the code that records an entry when it is on: the time, who it belongs to (an owner, for
// instance a thread), what it is about (an object, for instance an operation), and up to eight arguments. There are
// groups of 64 tracepoints. A tracepoint that is off costs a load and a branch; one that is on costs about as much as
// reading the clock, without allocation, lock, or a word that two cores write to.
//
// A [Trace] belongs to the reactors that got it:
//
//	tr, err := trace.New(trace.Options{Name: "hello", Cores: []int{0, 1}})
//	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0, 1}, Tracer: tr})
//	err = tr.Enable("thread,fsdev:FSDEV_IO_DONE")
//	...
//	fw.Stop()
//	err = tr.Close()
//
// Package app does all this for an application. Tracepoints of your own are a [Group] with descriptions, registered by
// an init function, and calls of [Record]:
//
//	const tpointRequest reactor.Tpoint = 0x13<<6 + iota
//
//	func init() {
//		trace.RegisterGroup(trace.Group{Name: "hello", ID: 0x13, Register: func(tr *trace.Trace) {
//			tr.RegisterDescription(trace.TpointOpts{
//				Name: "HELLO_REQUEST", Tpoint: tpointRequest, Args: []trace.Argument{{"name", trace.ArgStr, 16}},
//			})
//		}})
//	}
//
//	trace.Record(t, tpointRequest, t.TraceID(), size, 0, trace.Str(name))
//
// Packages below this one, which cannot import it, record with reactor.Thread.TraceRecord; their tracepoints are
// described here.
//
// Reading is [Open], [File.Entries] and [Recorder]: a file may be whatever somebody made of it, and is checked.
//
// Differences from SPDK: state belongs to a Trace, not to the process, so that several applications can be in one; a
// thread that is no reactor gets its ring in its hands ([Trace.RegisterUserThread]) instead of finding it by what
// thread it is; a reader knows what was overwritten while it read; the memory of the rings is taken when the first
// tracepoint is turned on; the file is locked by the process that writes it, so that one left by a process that died is
// known.
//
// SPDK: lib/trace, lib/trace_parser
package trace
