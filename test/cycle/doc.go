// Package cycle is a simulation of what dispatchers go through: INIT, DESTROY, a second INIT, the removal of the
// device, Delete, channels that come and go, requests that complete in any order, and want of everything, on one to
// four threads that are polled by hand, message by message.
//
// A history is a configuration and a list of actions. The world does them one after the other and keeps a book of what
// must come of it, by the diagram in the comment of package fusedispatcher:
//
//   - Every request completes once, later, on its thread, with a well-formed reply or none.
//   - While nothing is being torn down or built up there is a session, or there is none: every channel has it, or every
//     one says ENOTCONN. INIT alone makes one; DESTROY, INIT, the removal and Delete end it.
//   - INIT fails only for what has gone wrong, with its errno; DESTROY never does.
//   - The module is mounted before it sees a request, not twice, and unmounted when it has nothing in hand.
//   - Where everything is at rest nobody waits, unless for what the history has taken away.
//   - Whatever has happened, when it is over INIT works, and after Delete nothing is left: no channel, no IO, no
//     descriptor, no mount, no message.
//
// Random histories ([live]) come from a generator that looks at the world; what it has chosen is data and can be
// repeated without it. The scenarios are short histories that are repeated with one thing going wrong after each of
// their steps, for everything that can go wrong. A history that fails is shrunk to the shortest that fails in the
// same way. The faults of [lie] are put into the book on purpose, to test that they are found.
package cycle
