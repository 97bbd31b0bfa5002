// Package fsdevtest is the suite that every fsdev module passes: what docs/modules.md
// promises in a module's name, checked from the side of a client.
//
//	func TestConformance(t *testing.T) {
//		fsdevtest.Run(t, fsdevtest.Options{
//			New: func(tb testing.TB, t *reactor.Thread, name string) *fsdev.Fsdev { ... },
//		})
//	}
//
// Each case gets a framework of threads that are polled by hand, and a device of its own on
// it, so that a failure repeats and names one thing. A module that waits for something outside
// of the process is polled until it answers.
package fsdevtest
