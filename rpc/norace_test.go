//go:build !race

package rpc_test

// raceEnabled says whether the tests are built with the race detector, which makes everything slow.
const raceEnabled = false
