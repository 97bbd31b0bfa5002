// Module peers holds what is measured against other people's file systems, and their suites, so that the core's go.mod
// stays lean.
module github.com/spdk-go/spdk-go/test/peers

go 1.26.0

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	golang.org/x/sys v0.28.0
)
