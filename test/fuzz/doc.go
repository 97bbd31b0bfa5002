// Package fuzz has the fuzz targets that need the dispatcher and a file system together.
//
// FuzzSequence takes a byte string for a sequence of requests of one or two clients of a memfs, sends them through
// dispatchers and compares every reply with a model of POSIX semantics that shares no code with memfs: maps of
// names, pages, attributes and locks. Where POSIX or memfs's documentation leaves a choice the model accepts all
// of them; an error must be one of those whose conditions are met, in whatever order a server looks at them.
// TestSequences does the same with random strings in every test run.
//
// FuzzSharedMemory has somebody overwrite a request and the room for its reply all the while.
//
// The corpus of the dispatcher's FuzzRawRequest is made by test/fuzz/record.
package fuzz
