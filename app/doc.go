// Package app is the application framework: it turns options into running reactors with
// their subsystems, and takes everything down again in order.
//
//	err := app.Run(app.Options{CPUMask: reactor.NewCpuset(0, 1)}, func(t *reactor.Thread, a *app.App) error {
//		// on the app thread; everything is up
//		return nil
//	})
//
// [Run] returns when the application has stopped: after SIGINT or SIGTERM, after [App.Stop],
// or because something failed on the way up. A second signal ends the process at once. When the
// end takes more than five seconds, the log says what it waits for, and who holds what.
//
// The order is SPDK's. Up: reactors, the app thread (on the first core), subsystems in the
// order of their dependencies, the start function. Down: the context of [App.Context] ends,
// the goroutines of [App.Go] are waited for, subsystems end in reverse order, threads exit,
// reactors end.
//
// Everything belongs to the [App]; several can run in one process, one after another or at
// once. Two things are the process's by nature: signals, which reach every App that has not
// disabled them, and GOMAXPROCS, which is kept at the number of reactors of all running
// Apps plus two and is put back when the last has stopped.
//
// Errors are Go errors that wrap an errno where there is one. Methods of App can be called
// from any goroutine unless they say otherwise; those that wait must not be called from a
// reactor.
package app
