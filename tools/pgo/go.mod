// Module pgo keeps a library for profiles out of the core's go.mod.
module github.com/spdk-go/spdk-go/tools/pgo

go 1.26.0

require github.com/google/pprof v0.0.0-20261105003125-4bf881d7fb0b
