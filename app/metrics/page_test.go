package metrics

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPage serves the page with a policy that lets in what it has, and nothing else.
func TestPage(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	code, header, text := get(t, addr, "/", "")
	if code != http.StatusOK || text != string(pageText) {
		t.Errorf("%d, %d bytes", code, len(text))
	}
	policy := header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q has no %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q, %v", policy, header)
	}
	for _, tag := range []string{"<script", "<style"} {
		if n := strings.Count(text, tag); n != 1 {
			t.Errorf("%d times %s", n, tag)
		}
	}
	// What the policy would not let in, or what would come from elsewhere.
	for _, bad := range []string{
		` style="`, `innerHTML`, `insertAdjacent`, `\beval\(`, ` on[a-z]+="`, `src=`, `@import`, `url\(`, `https?://`,
	} {
		body := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		if found := regexp.MustCompile(bad).FindString(body); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
}

// series are the names of samples that the table, and the Go run-time and process, can have.
func series(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, d := range defs {
		switch d.typ {
		case "histogram":
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[d.name+suffix] = true
			}
		default:
			names[d.name] = true
		}
	}
	r := newRig(t)
	for key := range r.scrape(r.serve("127.0.0.1:0")) {
		name, _, _ := strings.Cut(key, "{")
		names[name] = true
	}
	return names
}

var (
	metricName   = regexp.MustCompile(`\b(?:spdk|go|process)_[a-z0-9_]+`)
	quotedMetric = regexp.MustCompile(`"((?:spdk|go|process)_[a-z0-9_]+)"`)
)

// TestPageAndDashboardNameWhatThereIs looks up every metric that the page and the dashboard of Grafana name.
func TestPageAndDashboardNameWhatThereIs(t *testing.T) {
	names := series(t)
	n := 0
	for _, m := range quotedMetric.FindAllStringSubmatch(string(pageText), -1) {
		if n++; !names[m[1]] {
			t.Errorf("page.html: there is no %s", m[1])
		}
	}
	if n < 20 {
		t.Errorf("page.html names %d metrics", n)
	}
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	n = 0
	walkExpressions(dashboard, func(expr string) {
		for _, name := range metricName.FindAllString(expr, -1) {
			if n++; !names[name] {
				t.Errorf("grafana.json: there is no %s, which %q names", name, expr)
			}
		}
	})
	if n < 20 {
		t.Errorf("grafana.json names %d metrics", n)
	}
}

// walkExpressions calls fn with the queries of a dashboard, those of its variables too.
func walkExpressions(v any, fn func(expr string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && (key == "expr" || key == "query") {
				fn(text)
			}
			walkExpressions(inner, fn)
		}
	case []any:
		for _, inner := range v {
			walkExpressions(inner, fn)
		}
	}
}
