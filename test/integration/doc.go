// Package integration holds the tests that put the whole house behind a real Linux kernel: they start spdk_tgt, mount a
// memfs through /dev/fuse, and let programs that nobody here wrote loose on it. It has tests only; they need root,
// /dev/fuse and the tools that test/deps.sh installs.
//
// The same workloads run on a plain directory first ([TestPlainDirectory]), which proves that a failure on the mount is
// the mount's, and the semantics tests take their expectations from a tmpfs.
package integration
