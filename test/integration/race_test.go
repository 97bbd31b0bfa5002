//go:build race

package integration

// raceEnabled says whether the tests, and with them spdk_tgt, are built with the race detector.
const raceEnabled = true
