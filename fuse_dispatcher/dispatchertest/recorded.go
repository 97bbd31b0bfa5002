package dispatchertest

import (
	_ "embed"
	"encoding/hex"
	"strings"
)

//go:embed requests.txt
var requests string

// Recorded returns requests that a Linux kernel has sent while programs worked on a memfs, with each cache policy: one
// of each shape. Their nodes and handles are those of that time. What they wrote is cut to a few bytes. They are made
// again by
//
//	go run ./test/fuzz/record -o fuse_dispatcher/dispatchertest/requests.txt
func Recorded() (list [][]byte) {
	for line := range strings.Lines(requests) {
		if name, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			raw, err := hex.DecodeString(text)
			if err != nil {
				panic("dispatchertest: requests.txt: " + err.Error())
			}
			list = append(list, raw)
		}
	}
	return list
}
