# make demo and make test are all a newcomer needs. Everything runs with plain Go; test/deps.sh brings the foreign tools.

GO ?= go
export GOFLAGS := -buildvcs=false $(GOFLAGS)

# One package at a time: the tests pin reactors to cores, and two of them would measure each other.
SERIAL := -p 1
UNIT = $(shell $(GO) list ./... | grep -v /test/integration)

# What has to work on one processor too, where no core is asked for.
RUNTIME = ./mempool ./reactor/... ./iochannel ./iobuf ./test/unit/... ./test/sim

# What has threads of its own.
RACED = $(shell $(GO) list ./... | grep -v -e /app/perf -e /examples/ -e /test/bench)

# How long make fuzz works on each target, and the packages that have some.
FUZZTIME ?= 20s
FUZZED = $(shell grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u)

.PHONY: build demo test test-long test-short peers race cover sim bench plot lint fmt-check deps clean cycle fuzz pgo \
	bench-peers

build:
	CGO_ENABLED=0 $(GO) build -o bin/ ./app/...

demo:
	$(GO) run ./app/demo

# Everything: within 15 minutes on 2 cores.
test: deps lint
	$(GO) test $(SERIAL) $(UNIT)
	$(GO) test $(SERIAL) -run '^$$' -bench . -benchtime 1x $(UNIT)
	$(GO) run ./test/bench -runs 1 -mintime 1ms -o /dev/null
	GOMAXPROCS=1 $(GO) test $(SERIAL) -short $(RUNTIME)
	@$(MAKE) --no-print-directory fuzz FUZZED="./fuse_dispatcher ./test/fuzz"
	$(GO) list -export -test -race $(RACED) > /dev/null # builds them all at once
	$(GO) test $(SERIAL) -race -short -timeout 10m $(RACED)
	$(GO) test -timeout 12m ./test/integration
	@$(MAKE) --no-print-directory peers

# What make test samples, whole: an hour.
test-long: test
	$(GO) test $(SERIAL) -timeout 60m ./modules/memfs ./modules/aio -run TestLargeDirectory -v -files 1000000
	@./test/deps.sh chromium
	$(GO) test -timeout 60m ./test/integration -long

# While you work: within 2 minutes on 2 cores.
test-short: fmt-check
	$(GO) vet ./...
	$(GO) test $(SERIAL) -short ./...

# Suites that others have written for their file systems. test/peers is a module of its own.
peers:
	cd test/peers && $(GO) vet . && $(GO) test -timeout 5m .

race:
	$(GO) test $(SERIAL) -race ./...

# How many of the statements that every request passes through their tests run. docs/coverage.md has the rest.
COVERED = fuse_dispatcher fsdev
MIN_COVER = 95

cover:
	@mkdir -p bin
	@for p in $(COVERED); do \
		$(GO) test $(SERIAL) -coverpkg=./$$p -coverprofile=bin/$$p.cov ./$$p/... ./test/unit/$$p && \
		$(GO) tool cover -func=bin/$$p.cov | awk -v p=$$p -v min=$(MIN_COVER) '$$1 == "total:" { \
			print p ": " $$3 ", at least " min "% is wanted"; exit $$3 + 0 < min }' || exit 1; \
	done

# Ten million steps of the simulation from a new seed; SIM='-sim.steps N -sim.seed N' for others.
sim:
	$(GO) test ./test/sim -run TestSim -v -sim.seed 0 $(SIM)

# Ten million steps in the lives of dispatchers from a new seed; CYCLE='-cycle.steps N -cycle.seed N' for others.
cycle:
	$(GO) test ./test/cycle -run TestCycle -v -cycle.steps 10000000 -cycle.seed 0 $(CYCLE)

# Every fuzz target there is, one after the other; FUZZTIME=10m for longer. What fails is left in testdata/fuzz of its
# package, and belongs into the commit that makes it pass. Minimizing is bounded: it takes the time from finding.
fuzz:
	@list=$$($(GO) test -list '^Fuzz' $(FUZZED)) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ {target[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, target[i]; n = 0}' | \
	while read -r pkg target; do \
		echo "$$pkg $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x \
			-parallel $$(nproc) $$pkg < /dev/null || exit 1; \
	done

PGO = -pgo app/spdk_tgt/default.pgo

# A table on standard output, and bench.json. SPDK=PROGRAM (see test/bench/spdk) measures SPDK's C code in the same run.
bench:
	$(GO) run $(PGO) ./test/bench -o bench.json $(if $(SPDK),-spdk $(SPDK))

# Tables of spdk_tgt with an exported directory beside libfuse's examples (test/peers/libfuse.sh builds them), go-fuse and
# the directory itself, in each cache mode; PEERS='-help' lists what can be chosen. A quarter of an hour.
bench-peers:
	CGO_ENABLED=0 $(GO) build $(PGO) -o bin/spdk_tgt ./app/spdk_tgt
	cd test/peers && $(GO) run ./bench $(PEERS)

# The profile that spdk_tgt and the benchmarks are built with: what the dispatcher, the primitives and memfs spend time in.
# The compiler puts what is called most in the place of its calls. Worth making again when they have changed a lot.
pgo:
	@mkdir -p bin
	$(GO) run ./test/bench -runs 3 -mintime 500ms -run dispatch -cpuprofile bin/dispatch.prof -o /dev/null
	$(GO) run ./test/bench -runs 2 -cpuprofile bin/all.prof -o /dev/null
	$(GO) test -run '^$$' -bench . -benchtime 300ms -cpuprofile bin/memfs.prof -o bin/memfs.test ./modules/memfs
	cd tools/pgo && $(GO) run . -o ../../app/spdk_tgt/default.pgo ../../bin/dispatch.prof ../../bin/all.prof ../../bin/memfs.prof

# docs/scale.png: what things cost against how many there are.
plot:
	$(GO) run $(PGO) ./test/bench -scale bench-scale.json -runs 5
	cd tools/plot && $(GO) run . -o ../../docs/scale.png -table ../../docs/scale.md ../../bench-scale.json
	rm -f bench-scale.json

lint: fmt-check
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	bash -n .ci/run test/deps.sh test/peers/libfuse.sh

fmt-check:
	@bad=$$(gofmt -l $$(find . -name '*.go' -not -path './.git/*')); \
	if [ -n "$$bad" ]; then echo "not formatted, run gofmt -w on:" $$bad; exit 1; fi

deps:
	@./test/deps.sh

clean:
	rm -rf bin bench.json
