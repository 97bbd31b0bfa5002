// Package shrink makes what fails smaller, for simulations.
package shrink

import (
	"slices"
	"time"
)

// List returns the shortest list that it finds before end, by leaving out parts of list, for which fails is still true.
// It is true for list itself.
func List[T any](list []T, end time.Time, fails func(part []T) bool) []T {
	for again := true; again; {
		again = false
		for size := max(1, len(list)/2); size > 0 && time.Now().Before(end); size /= 2 {
			for from := 0; from < len(list) && time.Now().Before(end); {
				part := slices.Delete(slices.Clone(list), from, min(from+size, len(list)))
				if fails(part) {
					list, again = part, true
				} else {
					from += size
				}
			}
		}
		again = again && time.Now().Before(end)
	}
	return list
}
