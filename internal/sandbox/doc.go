// Package sandbox takes from a process what it does not need to serve files, so that whoever takes the process over by
// a request that it mishandles still has no more than the exported directories.
//
// # How it is entered
//
// A Go program has several threads before its first line runs, and what Linux gives a process to lock itself up with
// belongs to single threads: mount namespaces, capabilities, Landlock. So the program locks itself up on one thread and
// executes itself there ([Reexec]), with the same arguments: execve(2) ends the other threads, and those of the new
// program are born locked up. The process stays the same. Its id, its parent, signals, exit code, the locks of its CPUs
// and the descriptors that it is given outlive the call, so that nobody outside needs to know about it.
//
// A root directory cannot change at that time: the new program may need a loader and libraries. And it could not be
// changed later by the process itself, which must not keep the right to do that. So there is a companion: a child,
// started before, that shares the root and the working directory with the process (CLONE_FS) but gives up nothing. It
// waits until the new program is there ([Finish]), changes the root for both ([Companion]) and ends.
//
// # The order, and what each step is for
//
//	thread     unshare(2)       namespace: mounts, network, System V IPC and the host's name are its own from here on
//	thread     the companion    namespace, chroot
//	thread     capabilities     those of [Keep] stay, none else, in no set; what is executed cannot have more
//	thread     no_new_privs     no program that it executes gets privileges by set-user-ID bits or file capabilities
//	thread     Landlock         nothing is opened, made, removed or renamed that is not below an exported directory
//	execve(2)
//	process    the clock, the time zone: what is read once from files that will be out of sight
//	companion  the root         namespace: pivot_root(2); chroot: chroot(2)
//	process    seccomp          a list of system calls; any other one ends the process
//
// # What each layer holds, whatever becomes of the process
//
// Namespace: nothing but the exported directories, the process's own entry in /proc and a few read-only files about
// CPUs can be reached by any path. An exported directory is a mount of its own: ".." at its top leads into an empty,
// read-only directory. No device that lies in it can be opened, nothing in it executed (nodev, noexec, nosuid), and
// nothing be changed if it is exported read-only. There is no network, and no abstract socket of anybody. What the host
// mounts below an exported directory later appears in it.
//
// Chroot: no path leads out of the one exported directory, as long as the process does not get the right to change its
// root back, or a descriptor from outside. It is for where mount namespaces are not permitted.
//
// Capabilities: as root the process remains able to act on files as any user. It cannot mount, load modules, trace or
// signal other users' processes, set the clock, open raw sockets, or use ioctls meant for administrators. Some of what
// a file server may be asked for goes with that, and comes back with [Options].MoreCaps: CAP_SYS_ADMIN is for files
// that the kernel of the host is to read by itself (FUSE_PASSTHROUGH), for extended attributes of the name spaces
// trusted and security, and for hearing of what others change (fanotify); CAP_LINUX_IMMUTABLE is for chattr +i. With
// CAP_SYS_ADMIN it is Landlock and the filter of system calls that keep the process from mounting.
//
// Landlock: the same as the namespace says of paths, without any privilege, and also for files that are reached by
// descriptors or by /proc. No TCP (Linux 6.7), and no signal to, nor abstract socket of, a process outside (6.12). A
// file that the host moves out of the export can no longer be opened, though whoever has it open keeps it.
//
// Seccomp: no way to new programs, processes, sockets, mounts, namespaces, keys, BPF, memory of others; no memory
// becomes executable. The kernel's rarely used corners are out of reach. It does not see what an io_uring does, which
// is why the rings of modules/aio are restricted to the operations that they use; but a process that was taken over can
// make another ring, whose operations are held by the other layers alone.
//
// # What stays open
//
// Unix sockets that were listened at before ([Options].Listeners) stay usable, whatever the namespaces: their clients
// are accepted, and no others. Who may connect to one is for the permission bits of its path, outside, to say, and what
// he may ask for is for the program: the process cannot do more for a client than for itself. A TCP port cannot be
// among them: shutdown(2) makes a fresh socket of it, outside of the network namespace, which sendmsg(2) with
// MSG_FASTOPEN, or an io_uring, connects to any other port of its address. A Unix socket stays what it is.
//
// There is no PID namespace: a process cannot move into one, and a child in it would be another process than the one
// that was started, to be watched, signalled and waited for by a third. It would hide other processes and shield them
// from signals; here /proc does not have them, and seccomp and Landlock refuse the signals.
//
// With file handles ([Options].FileHandles) the file systems that have the exported directories are open as a whole: a
// handle is an inode's number, and no layer knows what directory that is in. Give such an export a file system of its
// own.
//
// Files of the export are as open as their server: who takes it over can do with them what root can, set-user-ID bits
// included. The host should mount the file system that it exports nosuid and nodev.
//
// Devices that are reached by descriptors from before, the standard output among them, stay usable.
//
// The process can use up memory, CPU and descriptors: that is for control groups and limits.
package sandbox
