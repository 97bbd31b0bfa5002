package metrics

import (
	"fmt"
	"strings"
)

// Markdown returns the table of the metrics, without those of the Go run-time and of the process.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, d := range defs {
		labels := ""
		if len(d.labels) > 0 {
			labels = "`" + strings.Join(d.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.typ, labels, d.help)
	}
	return []byte(b.String())
}
