//go:build !race

package cycle

// raceEnabled says whether the tests are built with the race detector, which makes them ten times as slow.
const raceEnabled = false
