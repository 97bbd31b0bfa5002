// Package iobuf holds the tests of SPDK's test/unit/lib/thread/iobuf.c, one Go test for each
// CUnit test, of the package iobuf as its users see it.
package iobuf
