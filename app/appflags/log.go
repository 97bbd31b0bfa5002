package appflags

import (
	"encoding/json"
	"io"
	"log/slog"
	"time"

	"github.com/spdk-go/spdk-go/log"
)

// lastWords is how long the end of a program waits for whoever reads its log.
const lastWords = time.Second

// Log returns a log to w in the format that was asked for, which nobody waits for, see [log.Async], and what ends it:
// what was logged before has been written then, if w takes it. Which lines there are, the application decides.
func (f *Flags) Log(w io.Writer) (l *slog.Logger, end func()) {
	o := &slog.HandlerOptions{Level: slog.LevelDebug}
	if !f.jsonLog {
		a := log.NewAsync(w, nil)
		return slog.New(slog.NewTextHandler(a, o)), func() { a.Close(lastWords) }
	}
	a := log.NewAsync(w, func(lines uint64) []byte {
		text, err := json.Marshal(struct {
			Time  time.Time  `json:"time"`
			Level slog.Level `json:"level"`
			Msg   string     `json:"msg"`
			Lines uint64     `json:"lines"`
		}{time.Now(), slog.LevelWarn, "lines of the log are missing here", lines})
		if err != nil {
			panic(err) // two strings and two numbers
		}
		return append(text, '\n')
	})
	return slog.New(slog.NewJSONHandler(a, o)), func() { a.Close(lastWords) }
}
