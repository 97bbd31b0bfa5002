package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spdk-go/spdk-go/trace"
)

// shmDir is where traces are; tests have others.
var shmDir = trace.ShmDir

// inName is between an application's name and a number in the name of a trace, as SPDK's SPDK_TRACE_SHM_NAME_BASE.
const inName = "_trace."

// source returns the trace that is meant: the file, or the newest one that fits.
func (c *config) source(stderr io.Writer) (string, error) {
	if !c.record && c.file != "" {
		return c.file, nil
	}
	name, number := "*", "*"
	if c.app != "" {
		name = c.app
	}
	switch {
	case c.pid >= 0:
		number = fmt.Sprintf("pid%d", c.pid)
	case c.id >= 0:
		number = strconv.Itoa(c.id)
	}
	list, err := filepath.Glob(filepath.Join(shmDir, name+inName+number))
	if err != nil {
		return "", fmt.Errorf("%q is no name of an application: %w", c.app, err)
	}
	var newest string
	var at time.Time
	for _, path := range list {
		if st, err := os.Stat(path); err == nil && (newest == "" || st.ModTime().After(at)) {
			newest, at = path, st.ModTime()
		}
	}
	if newest == "" {
		return "", fmt.Errorf("there is no trace %s: applications make one unless they are told not to",
			filepath.Join(shmDir, name+inName+number))
	}
	if len(list) > 1 || number == "*" && !c.quiet {
		fmt.Fprintf(stderr, "%s: the newest trace is %s\n", progName, newest)
	}
	return newest, nil
}

// appName returns the application's name in that of its trace.
func appName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), inName)
	return name
}

// pidOf returns the number of the process in the name of its trace, 0 if there is none.
func pidOf(path string) int {
	_, number, _ := strings.Cut(filepath.Base(path), inName+"pid")
	number, _, _ = strings.Cut(number, ".")
	pid, _ := strconv.Atoi(number)
	return pid
}
