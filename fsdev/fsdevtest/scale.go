package fsdevtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
)

const (
	// smallDir is how many files the directory has that a large one is compared with, and how many operations are timed
	// together.
	smallDir = 1000
	// scaleRounds is how often each of the two is timed, in turn, so that both have the same machine.
	scaleRounds = 11
	// listRounds is how often all of them are listed, likewise: a listing takes so little time that all of one can fall
	// into a moment when others want the CPU.
	listRounds = 5
	// maxScale is how many times as much an entry of the large one may cost.
	maxScale = 2
)

// RunScale wants CREATE, LOOKUP and READDIR in a directory of files entries to cost at most twice per entry of what
// they cost in one of 1000. The module is asked for one device, with room for all of them and their like.
func RunScale(t *testing.T, o Options, files int) {
	o.setDefaults()
	w := newWorld(t, &o)
	c := w.open(0)
	rnd := rand.New(rand.NewPCG(1, uint64(files)))
	large := c.mkdir(c.root, "large").ok().obj
	for i := range files - scaleRounds*smallDir {
		c.createForgotten(large, i)
	}
	type costs struct{ create, lookup, readdir []time.Duration }
	var small, big costs
	var dirs [scaleRounds]fsdev.FileObject
	for round := range dirs {
		first := files - (scaleRounds-round)*smallDir
		dir := c.mkdir(c.root, fmt.Sprint("small", round)).ok().obj
		dirs[round] = dir
		small.create = append(small.create, c.timed(func(i int) { c.createForgotten(dir, i) }))
		big.create = append(big.create, c.timed(func(i int) { c.createForgotten(large, first+i) }))
		small.lookup = append(small.lookup, c.timed(func(int) { c.lookupForgotten(dir, rnd.IntN(smallDir)) }))
		big.lookup = append(big.lookup, c.timed(func(int) { c.lookupForgotten(large, rnd.IntN(first)) }))
	}
	for range listRounds {
		for _, dir := range dirs {
			small.readdir = append(small.readdir, c.timedList(dir, smallDir)...)
		}
		big.readdir = append(big.readdir, c.timedList(large, files)...)
	}
	for _, x := range []struct {
		what       string
		small, big []time.Duration
	}{
		{"CREATE", small.create, big.create}, {"LOOKUP", small.lookup, big.lookup}, {"READDIR", small.readdir, big.readdir},
	} {
		s, b := median(x.small), median(x.big)
		t.Logf("%s: %v an entry of %d, %v of %d: %.2f", x.what, s, smallDir, b, files, float64(b)/float64(s))
		if b > maxScale*s {
			t.Errorf("%s of one of %d files costs %v, of one of %d %v: more than %d times as much",
				x.what, files, b, smallDir, s, maxScale)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

const scaleFormat = "file number %07d"

func scaleName(i int) string { return fmt.Sprintf(scaleFormat, i) }

// createForgotten makes a file that nobody knows afterwards.
func (c *client) createForgotten(dir fsdev.FileObject, i int) {
	r := c.create(dir, scaleName(i)).ok()
	c.release(r.obj, r.h).ok()
	c.forget(r.obj, 1).ok()
}

func (c *client) lookupForgotten(dir fsdev.FileObject, i int) {
	c.forget(c.lookup(dir, scaleName(i)).ok().obj, 1).ok()
}

// timed returns what one of smallDir calls takes.
func (c *client) timed(fn func(i int)) time.Duration {
	start := time.Now()
	for i := range smallDir {
		fn(i)
	}
	return time.Since(start) / smallDir
}

// timedList lists a directory of n files and returns what an entry takes, for each smallDir of them.
func (c *client) timedList(dir fsdev.FileObject, n int) (each []time.Duration) {
	c.Helper()
	h := c.opendir(dir).ok().h
	seen, count, off := make([]bool, n), 0, uint64(0)
	for {
		start := time.Now()
		r := c.readdir(dir, h, off, false, smallDir).ok()
		if len(r.entries) == 0 {
			break
		}
		if len(r.entries) >= smallDir/2 { // not the rest
			each = append(each, time.Since(start)/time.Duration(len(r.entries)))
		}
		for _, e := range r.entries {
			var i int
			if _, err := fmt.Sscanf(e.name, scaleFormat, &i); err == nil && i < n && !seen[i] {
				seen[i] = true
				count++
			}
		}
		off = r.entries[len(r.entries)-1].next
	}
	if count != n {
		c.Fatalf("READDIR gives %d of the names, want %d", count, n)
	}
	c.releasedir(dir, h).ok()
	return each
}
