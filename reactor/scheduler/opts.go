package scheduler

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"syscall"
)

// decode stores what the JSON object opts says of each option in what options has for it. An
// option that is not named, or null, stays as it is; after an error some may have changed, so
// the caller passes copies.
func decode(opts json.RawMessage, options map[string]any) error {
	if len(opts) == 0 {
		return nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(opts, &given); err != nil {
		return fmt.Errorf("options are not a JSON object: %v: %w", err, syscall.EINVAL)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value, known := options[name]
		switch {
		case !known && len(options) == 0:
			return fmt.Errorf("unknown option %q: it has none: %w", name, syscall.EINVAL)
		case !known:
			return fmt.Errorf("unknown option %q, only %q: %w", name, slices.Sorted(maps.Keys(options)), syscall.EINVAL)
		}
		if err := json.Unmarshal(given[name], value); err != nil {
			return fmt.Errorf("option %q: %v: %w", name, err, syscall.EINVAL)
		}
	}
	return nil
}
