// Package thread has no code. Its tests are the 26 of SPDK's CUnit suite of lib/thread, under the
// same names: threads, messages, pollers, spinlocks and io_channels as packages reactor and
// iochannel have them, driven step by step from outside. What Go does differently on purpose is
// said at the test, with what it promises instead.
package thread
