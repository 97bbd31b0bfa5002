package log

import "log/slog"

// Opener is a handler that wants to know when a log begins and ends, as one that has a file does. Both are called in
// plain goroutines, Open before the first line and Close after the last.
//
// SPDK: the open and close functions of struct spdk_log_opts
type Opener interface {
	Open() error
	Close() error
}

// Open tells a handler, which may be nil, that the log begins, if it wants to know.
//
// SPDK: spdk_log_open_ext
func Open(h slog.Handler) error {
	if o, ok := h.(Opener); ok {
		return o.Open()
	}
	return nil
}

// Close tells a handler, which may be nil, that the log has ended, if it wants to know.
//
// SPDK: spdk_log_close
func Close(h slog.Handler) error {
	if o, ok := h.(Opener); ok {
		return o.Close()
	}
	return nil
}
