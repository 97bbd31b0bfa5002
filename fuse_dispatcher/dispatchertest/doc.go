// Package dispatchertest drives a dispatcher one request at a time, with nothing real below it
// and nobody real above: a file system that does what the test says, threads that are polled by
// hand, and every reply checked for its form.
//
//	func TestLookup(t *testing.T) {
//		b := dispatchertest.NewSession(t, fusedispatcher.Opts{})
//		b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ENOENT) }
//		r := b.Do(0, opLookup, 1, 144, dispatchertest.CString("name"))
//		if r.Errno != syscall.ENOENT { ... }
//	}
//
// [FS] is the module, [Bed] the dispatcher over it with a channel on each of some threads, and
// [Reply] a request under way. [Cases] holds a good request of every opcode that reaches a module,
// with what the module must see of it and what the client must be answered. [Message], [Cut] and
// [BytesEach] put other requests together.
//
// What holds of every completion is checked by the bed, for every request: it comes once, on the
// thread that submitted and not from inside SubmitRequest; the reply is a whole header with the
// request's unique, the length and the error that the completion says, and a header only if there
// is an error; who must not be answered is not, and then the memory for it is left alone. At the
// end of a test that has not failed, the bed wants an INIT to work, a Delete to be clean, and
// nothing to be left: no request, no mount, no IO, no channel.
//
// Errors are the test's. Everything is for the goroutine of the test.
//
// There is no such thing in SPDK: fuse_dispatcher has no unit tests. The threads are those of
// reactortest, which is its ut_multithread.
package dispatchertest
