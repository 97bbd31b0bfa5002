// Package uring holds the binary interface of io_uring as include/uapi/linux/io_uring.h of the kernel
// defines it, up to Linux 6.18 and a little beyond.
//
// Constants keep the kernel's names and are untyped, so that one constant serves fields of any width.
// Structures carry Go names without the io_uring_ prefix: struct io_uring_sqe is [SQE].
package uring
