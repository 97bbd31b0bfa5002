//go:build race

package reactor_test

// raceFactor is how much more CPU the race detector may take.
const raceFactor = 5
