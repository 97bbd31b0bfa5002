// Package appflags is SPDK's command line for applications: who knows spdk_tgt knows how to start any of them.
//
//	func main() {
//		os.Exit(appflags.Main("hello", nil, func(t *reactor.Thread, a *app.App) error {
//			// on the app thread; everything is up
//			return nil
//		}))
//	}
//
// [Main] is a whole program. [Parse] makes options of arguments, for those who want to change them, and [Add] gives
// the flags to a set that has others. Flags of SPDK that have to do with huge pages and PCI devices, which there are
// none of here, are accepted, checked, and named in one notice.
//
// Errors are for users: one line, without the program's name. All functions are for the beginning of main.
package appflags
