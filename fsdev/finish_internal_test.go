package fsdev

import (
	"strings"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// An IO that is not there at the end has been lost by the layer itself, so a test must take one.
func TestFinishReportsLeakedIO(t *testing.T) {
	h := reactortest.New(t, 1)
	if err := Initialize(h.Threads[0], Opts{IOPoolSize: 64, IOCacheSize: 8}); err != nil {
		t.Fatal(err)
	}
	managerOf(h.Framework).pool.Get()
	var got error
	Finish(h.Threads[0], func(_ *reactor.Thread, _ any, err error) { got = err }, nil)
	h.PollThreads()
	if got == nil || !strings.Contains(got.Error(), "1 of 64 IO") {
		t.Errorf("Finish: %v", got)
	}
}
