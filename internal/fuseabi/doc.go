// Package fuseabi holds the binary interface of the Linux FUSE protocol: opcodes, flags and
// structures as include/uapi/linux/fuse.h of the kernel defines them, version 7.45 (Linux 6.18).
// It holds no behaviour beyond laying a structure over bytes and computing record sizes.
//
// Constants keep the kernel's names and are untyped, so that one constant serves a 32-bit field,
// a 64-bit set of flags and a table index. Structures carry Go names without the fuse_ prefix:
// struct fuse_entry_out is [EntryOut].
//
// # Rules for the structures
//
//   - Every structure is a multiple of 8 bytes (RemovemappingIn and the supplementary group
//     header, as in the kernel, excepted), holds no pointer, and has no implicit padding.
//   - Padding and reserved fields have names. The Go compiler is free not to store blank fields
//     when a structure is assigned, which would send stale bytes of a reply buffer to the kernel.
//   - Numbers are in host byte order, as the kernel's are.
//   - A structure that grew during the life of version 7 is declared in its newest form; the
//     minor versions at which it grew are in its comment, and the older sizes in compat.go.
//
// The structures say nothing about the trustworthiness of the bytes they are laid over. Check
// lengths before calling [Overlay], and copy what comes from memory that a client can still write.
//
// Not in SPDK: there the header is vendored as include/linux/fuse_kernel.h.
package fuseabi
