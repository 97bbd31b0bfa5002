// Package rpc is how an application is driven from outside: JSON-RPC 2.0 over a Unix socket, in the form that SPDK's
// rpc.py and other tools of its kind speak.
//
// A method is registered by an init function, with Go types for its parameters and its result:
//
//	type createParams struct {
//		Name string  `json:"name" doc:"name of the device"`
//		Size *uint64 `json:"size,omitempty" doc:"bytes"`
//	}
//
//	func init() {
//		rpc.Register(rpc.Method{Name: "disk_create", States: rpc.Runtime, Doc: "Create a disk."}, create)
//	}
//
//	func create(t *reactor.Thread, req *rpc.Request[createParams, string]) {
//		req.Reply(req.Params.Name)
//	}
//
// A [Service] runs methods on one thread, the app thread of an application, and has any number of [Server], one per
// socket. [Client] is the other side.
//
// # What runs where
//
// Plain goroutines read, check, decode, encode and write, two per connection. On the thread there are the handlers
// and nothing else. A service has one request at a time on its way to the thread, so that clients cannot fill the
// thread's ring, and takes turns between connections. A handler may answer later; answers go out as they come, those
// of a batch together.
//
// # On the wire
//
// Requests follow each other on the connection, with or without white space between; so do responses, each on a line of
// its own. A request is an object with method, perhaps params and id, and nothing else; or an array of such, which is
// answered by an array. Without an id, or with null, only errors are answered. Parameters are an object. A key that is
// unknown, given twice, missing, or of another type than the method's is an error. Numbers are integers also if written
// as 10.0 or 1e1.
//
// # Limits
//
// Those of SPDK: 256 KiB and 8192 values per request, 64 levels, 64 connections (the next waits to be accepted), 32 MiB
// per response. And some of our own: 1024 unanswered requests per connection, after which it is not read; a minute from
// the first byte of a request to its last, and for a response to be taken, after which it is closed. Who connects and
// says nothing may stay.
//
// What is not JSON, or too long, is answered with [ParseError], and ends its connection: there is no way to tell where
// the next request begins.
package rpc
