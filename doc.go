// Package spdkgo is the root of spdk-go, a port of SPDK's run-time primitives and of its file-system stack to Go. It
// holds no code of its own, only the test that keeps the house in order. Start with the packages below it: reactor
// and iochannel are the threading model, fsdev and fuse_dispatcher the file-system stack, modules what serves files
// and transport where requests come from; app/spdk_tgt is the program that puts them together.
package spdkgo
