// Package fusedispatcher turns FUSE requests into fsdev operations and their results into
// FUSE replies: SPDK's fuse_dispatcher.
//
// # A request
//
// A transport hands a request to [Dispatcher.SubmitRequest] as two vectors of byte slices,
// what the client sent and where the reply goes, on the thread of one of the dispatcher's
// channels. Header, arguments and payload may lie in any number of segments, cut anywhere.
// The memory may belong to a client that goes on changing it: header, arguments and names
// are copied once, into the request, before they are looked at; the payload of READ, WRITE
// and SETXATTR is handed on to the module as it is.
//
// One table, by opcode, says how large the arguments are, how many names follow, how much
// room the reply needs and which handler runs. Every request that is accepted completes
// exactly once, later than SubmitRequest returns and on the same thread; every request that
// expects a reply gets one that is well-formed.
//
// What the client calls nodeid and fh are handles that the module checks; the dispatcher
// only exchanges the root's for FUSE_ROOT_ID.
//
// # Life cycle
//
// A dispatcher works on an fsdev from INIT to DESTROY. All of the following run on the
// thread that created the dispatcher, the control thread, one after the other in the order
// in which they were asked for:
//
//	INIT     tear down a session that exists; open the fsdev; on each channel's thread get
//	         the fsdev channel; mount, i.e. negotiate and get the root; publish the
//	         session; reply
//	DESTROY  tear down; reply
//	REMOVE   (the fsdev goes away) tear down; call the event function
//	Delete   tear down; unregister the channels' device; free; call back
//
// Tearing down withdraws the session, so that new requests are refused with ENOTCONN;
// visits each channel's thread, aborts what is in flight there, waits for it and puts the
// fsdev channel; unmounts, which gives up all references and handles of the client; and
// closes the fsdev. When a step of INIT fails, the steps before it are undone the same way
// and the reply is the error.
//
// Because these are queued and run one at a time, a second INIT, a DESTROY during INIT or a
// Delete during REMOVE need no further rules. A channel that is created while an INIT goes
// through the others finds the open fsdev itself, or is visited, or both.
//
// Threads see the session through one pointer to something that never changes. A request
// takes it when it starts, and teardown waits for the request.
package fusedispatcher
