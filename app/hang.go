package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// hangTime is how long the end of an application may take until it is reported what it waits for. SPDK forces threads
	// to exit after as long.
	hangTime = 5 * time.Second
	// threadAnswer is how long a thread may take to say what holds it.
	threadAnswer = time.Second
)

// ending is how far the end of an application has come, for the report of a hang.
type ending struct {
	workers map[string]int // goroutines of App.Go that run, by function
	waitFor string         // the stage: what the end waits for
}

// setStage says what the end waits for from now on.
func (a *App) setStage(waitFor string) {
	a.mu.Lock()
	a.ending.waitFor = waitFor
	a.mu.Unlock()
}

// watchEnd reports what holds up the end of the application, unless the function that it returns is called in time.
func (a *App) watchEnd() (ended func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		timer := time.NewTimer(cmp.Or(a.o.HangTime, hangTime))
		defer timer.Stop()
		select {
		case <-timer.C:
			a.reportHang(quit)
		case <-quit:
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// reportHang names what the application still waits for, and who holds what.
func (a *App) reportHang(quit <-chan struct{}) {
	a.mu.Lock()
	waitFor := a.ending.waitFor
	workers := maps.Clone(a.ending.workers)
	running := slices.Clone(a.running)
	a.mu.Unlock()
	log := a.o.Log
	log.Warn("the end of the application takes its time: another signal ends it at once", "waits for", waitFor)
	for _, name := range slices.Sorted(maps.Keys(workers)) {
		log.Warn("still there: goroutine", "function", name, "number", workers[name])
	}
	for _, s := range running {
		if s.Holding == nil {
			continue
		}
		for _, what := range s.Holding(a) {
			log.Warn("still there: "+s.Name, "what", what)
		}
	}
	for _, t := range a.fw.Threads() {
		if held := holdingOf(t, quit); held != "" {
			log.Warn("still there: thread", "thread", t.Name(), "held by", held)
		}
	}
}

// holdingOf asks a thread what holds it, "" if nothing does, or the thread has exited.
func holdingOf(t *reactor.Thread, quit <-chan struct{}) string {
	held := make(chan string, 1) // has room: the thread never waits
	if errno := t.SendMsg(sayHolding, held); errno != 0 && t.IsExited() {
		return ""
	} else if errno != 0 {
		return fmt.Sprintf("more messages than it has room for (%v)", errno)
	}
	select {
	case text := <-held:
		return text
	case <-time.After(threadAnswer):
		return "a callback that does not return, or whatever else keeps it from answering"
	case <-quit:
		return ""
	}
}

// sayHolding puts it off, so that its own message is not among what holds the thread.
func sayHolding(t *reactor.Thread, ctx any) { t.Defer(sayHoldingNow, ctx) }

func sayHoldingNow(t *reactor.Thread, ctx any) { ctx.(chan string) <- t.Holding() }

// funcName is the name of a function as a report has it, without its package's path and what the compiler adds.
func funcName(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return strings.TrimSuffix(name, "-fm")
}
