// Package sys holds what the core needs from the machine and the kernel and x/sys does not
// give: a cycle counter, a nanosecond epoll wait, slab arithmetic, memory outside of the Go
// heap. It is one of the rooms that may use unsafe, raw system calls and assembly.
package sys
