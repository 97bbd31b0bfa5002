package rpc

import (
	"errors"
	"fmt"
	"syscall"
)

// The codes of errors that are not errnos.
//
// SPDK: SPDK_JSONRPC_ERROR_PARSE_ERROR and its siblings
const (
	ParseError     = -32700 // the request is no JSON
	InvalidRequest = -32600 // it is JSON, but no request
	MethodNotFound = -32601 // there is no such method, or not for this client
	InvalidParams  = -32602 // the parameters are not those of the method, or not acceptable
	InternalError  = -32603 // the method failed
	InvalidState   = -1     // the method cannot be called before, or after, the start of the framework
)

// Error is the error of a response.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error says what went wrong, and the code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Is reports whether the code is the negative errno target.
func (e *Error) Is(target error) bool {
	errno, ok := target.(syscall.Errno)
	return ok && errno != 0 && e.Code == -int(errno)
}

func errorf(code int, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// errnoError is err as SPDK's methods give it that answer with the errno, or the *Error that it wraps.
func errnoError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != 0 {
		return &Error{-int(errno), err.Error()}
	}
	return &Error{InternalError, err.Error()}
}
