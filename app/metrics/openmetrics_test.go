package metrics

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// samples are values by name and labels, as they stand in the text.
type samples map[string]float64

var (
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)` +
		`(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)( \S+)?$`)
	leLabel = regexp.MustCompile(`,?le="([^"]*)"`)
)

// suffixes are what samples of a type add to the name of their family.
var suffixes = map[string][]string{
	"counter":   {"_total", "_created"},
	"gauge":     {""},
	"histogram": {"_bucket", "_sum", "_count", "_created"},
	"summary":   {"", "_sum", "_count", "_created"},
	"info":      {"_info"},
	"unknown":   {""},
}

// parseOpenMetrics reads a text as strictly as the specification is: families are not interleaved, have their type
// before their samples, and end as their unit says; no sample comes twice; histograms are cumulative and have an
// infinite bucket that is their count; and the end is marked.
func parseOpenMetrics(text string) (samples, error) {
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok {
		return nil, fmt.Errorf("no end")
	}
	s, seen := samples{}, map[string]bool{}
	family, typ := "", ""
	last := map[string]float64{} // cumulative counts of histograms, by their labels but le
	for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		fail := func(format string, args ...any) (samples, error) {
			return nil, fmt.Errorf("line %d, %q: %s", i+1, line, fmt.Sprintf(format, args...))
		}
		if m := metaLine.FindStringSubmatch(line); m != nil {
			if m[2] != family {
				if seen[m[2]] {
					return fail("the family comes twice")
				}
				family, typ = m[2], "unknown"
				seen[family] = true
			}
			switch {
			case m[1] == "TYPE":
				typ = m[3]
			case m[1] == "UNIT" && !strings.HasSuffix(family, "_"+m[3]):
				return fail("the name does not end in the unit")
			}
			if suffixes[typ] == nil {
				return fail("no such type")
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return fail("no sample")
		}
		suffix, ok := strings.CutPrefix(m[1], family)
		if ok = ok && hasSuffix(typ, suffix); !ok {
			return fail("it is none of %s %s", typ, family)
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return fail("%v", err)
		}
		key := m[1] + "{" + m[2] + "}"
		if _, twice := s[key]; twice {
			return fail("it comes twice")
		}
		s[key] = v
		if typ == "counter" && (v < 0 || math.IsNaN(v)) {
			return fail("a negative counter")
		}
		if typ == "histogram" {
			series := family + "{" + leLabel.ReplaceAllString(m[2], "") + "}"
			le := leLabel.FindStringSubmatch(m[2])
			switch {
			case suffix == "_bucket" && (le == nil || v < last[series]):
				return fail("not cumulative")
			case suffix == "_bucket":
				last[series] = v
			case suffix == "_count" && v != last[series]:
				return fail("the last bucket has %v", last[series])
			}
		}
	}
	return s, nil
}

func hasSuffix(typ, suffix string) bool {
	for _, s := range suffixes[typ] {
		if s == suffix {
			return true
		}
	}
	return false
}

// value returns a sample's, and fails if there is none.
func (s samples) value(t *testing.T, key string) float64 {
	t.Helper()
	v, ok := s[key]
	if !ok {
		t.Errorf("there is no %s", key)
	}
	return v
}

func TestParseOpenMetricsIsStrict(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"no end", "# TYPE a gauge\na 1\n"},
		{"counter without total", "# TYPE a counter\na 1\n# EOF\n"},
		{"no type", "a_total 1\n# EOF\n"},
		{"twice", "# TYPE a gauge\na 1\na 1\n# EOF\n"},
		{"family twice", "# TYPE a gauge\na 1\n# TYPE b gauge\n# TYPE a gauge\n# EOF\n"},
		{"unit", "# TYPE a gauge\n# UNIT a seconds\n# EOF\n"},
		{"negative", "# TYPE a counter\na_total -1\n# EOF\n"},
		{"not cumulative", "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n"},
		{"count", "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_count 3\n# EOF\n"},
		{"label", "# TYPE a gauge\na{b=c} 1\n# EOF\n"},
	} {
		if _, err := parseOpenMetrics(tt.text); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}
