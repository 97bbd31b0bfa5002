// Module peers holds what is measured against other people's file systems, and their suites, so that the core's go.mod
// stays lean.
module github.com/spdk-go/spdk-go/test/peers

go 1.26.0

tool github.com/hanwen/go-fuse/v2/example/loopback

require github.com/hanwen/go-fuse/v2 v2.12.1

require golang.org/x/sys v0.28.0 // indirect
