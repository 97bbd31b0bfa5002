// Package log keeps clients from flooding the log: what a request can provoke goes through a
// [Limiter], one per component, in front of log/slog.
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
