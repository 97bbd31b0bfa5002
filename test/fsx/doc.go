// Package fsx makes random calls on one file and compares everything it sees with an array of bytes: reads and writes
// by system calls and through mappings, cuts, holes, allocations, copies, appends, syncs and reopenings. The idea, and
// the name, are those of Apple's fsx of 1991, which has found errors in most file systems since.
//
// Operations come from a seed ([Generate]), which makes a failure repeatable if the file system is; [Run] carries them
// out, and [Shrink] leaves out what a failure does not need.
package fsx
