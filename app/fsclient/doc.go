// Package fsclient reads and writes the files of an fsdev in plain goroutines, which can wait, as package os does those
// of the kernel: for small programs, tests, and what happens once at the start of an application. What has many
// operations in flight uses package fsdev itself, on its thread, and has callbacks.
//
//	fs, err := fsclient.Open(t, "Fs0")
//	err = fs.WriteFile("hello", []byte("text"), 0o644)
//	text, err := fs.ReadFile("hello")
//	err = errors.Join(fs.Remove("hello"), fs.Close())
//
// Errors wrap the errno of the device, and say what was done to which file. Nothing here may be called on a reactor.
package fsclient
