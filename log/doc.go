// Package log decides what gets into the log, in front of log/slog.
//
// [Settings] are an application's levels and flags, in SPDK's words, that operators change while it runs.
//
// A [Limiter], one per component, keeps clients from flooding the log with what a request can provoke:
//
//	if line, ok := limiter.Allow(); ok {
//		line.Warn("a request is malformed", "opcode", op)
//	}
//
// A limiter never waits and never writes in its caller, which may be a reactor: a goroutine of
// its own does, and ends when there is nothing more to write. The line that is written next
// says how many have been left out before it.
//
// All functions may be called on any goroutine.
package log
