package integration

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/test/fsx"
)

func init() { helpers["fsx"] = fsxHelper }

// fsxFiles is how many files are at work at once, each in a process of its own.
const fsxFiles = 2

// runFsx makes random calls on files and compares what is in them with arrays. The seeds are printed; a failure is
// repeated with fewer and fewer of the calls, as long as it is one.
func runFsx(t *testing.T, c *client) {
	n := 3000
	switch {
	case *long && c.long:
		n = 500_000
	case *long:
		n = 50_000
	case c.long:
		n = 10_000
	}
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	var jobs []*job
	for i := range fsxFiles {
		t.Logf("file %d: seed %d, %d operations", i, seed+uint64(i), n)
		path := filepath.Join(c.dir, strconv.Itoa(i))
		jobs = append(jobs, c.startHelper(t, "fsx", path, strconv.FormatUint(seed+uint64(i), 10), strconv.Itoa(n)))
	}
	for _, j := range jobs {
		j.mustEnd(t, max(workloadTimeout, time.Duration(n)*5*time.Millisecond))
	}
}

// fsxHelper works on the file args[0] with seed args[1] and args[2] operations.
func fsxHelper(args []string) error {
	seed, err1 := strconv.ParseUint(args[1], 10, 64)
	n, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	ops := fsx.Generate(seed, n)
	failure := fsx.Run(args[0], ops)
	if failure == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d operations: %v\nlast of them:\n", seed, n, failure)
	for i := max(0, failure.Step-20); i <= failure.Step && i < n; i++ {
		fmt.Fprintf(&b, "%d: %v\n", i, ops[i])
	}
	short := fsx.Shrink(args[0]+".again", ops[max(0, failure.Step-5000):min(failure.Step+1, n)], time.Minute)
	if short == nil {
		b.WriteString("the last of them do not fail when they are repeated")
	}
	for _, op := range short {
		fmt.Fprintf(&b, "fails too: %v\n", op)
	}
	return errors.New(b.String())
}
