package log

import (
	"encoding/hex"
	"io"
)

// Dump writes bytes as people read them: a line with the label, then one for each 16 bytes with the offset, the bytes
// in hex and the printable ones as text. Any goroutine.
//
// SPDK: spdk_log_dump
func Dump(w io.Writer, label string, data []byte) error {
	_, err := io.WriteString(w, label+":\n"+hex.Dump(data))
	return err
}
