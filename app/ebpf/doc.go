// Package ebpf tells who took the CPU from the reactors of an application, and how long FUSE requests wait in the
// kernel before a reactor reads them. It has the kernel run small programs at four tracepoints, which takes root, or
// CAP_BPF and CAP_PERFMON; package internal/ebpfmon says how they work, and docs/ebpf.md how to read what they find
// out.
//
// Importing it adds the RPCs ebpf_start, ebpf_stop and ebpf_get_stats to the application, and the subsystem "ebpf",
// which ends what was started. Nothing runs before [Manager.Start] is called, by whichever way.
//
// [Manager] belongs to an application. [Manager.Stats] neither waits for reactors nor makes system calls, so that it
// tells of one that hangs; the other methods wait for reactors. None may be called on a reactor. Errors of Start are of
// a type that says in one line what is missing and what to do about it.
//
// Not in SPDK, whose scripts/bpf has scripts for bpftrace(8).
package ebpf
