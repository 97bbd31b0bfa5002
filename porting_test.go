package spdkgo_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite generated documents instead of comparing them")

// pending is the note of what is not there yet.
const pending = "pending"

// TestPortingDoc wants a Go form, or a reason why there is none, for every C function of docs/porting/functions.tsv,
// and docs/porting.md to say so.
func TestPortingDoc(t *testing.T) {
	const data = "docs/porting/functions.tsv"
	symbols := exportedSymbols(loadRepository(t))
	origins := originsByName(symbols)
	if *update {
		dropPending(t, data, origins)
	}
	functions := parseFunctions(readRecords(t, data))
	for _, p := range checkPorting(functions, origins, symbols) {
		t.Error(p)
	}
	intro := readFile(t, "docs/porting/intro.md")
	modules := readFile(t, "docs/modules.md")
	for _, p := range append(checkNames("docs/porting/intro.md", intro, symbols),
		checkNames("docs/modules.md", modules, symbols)...) {
		t.Error(p)
	}
	if t.Failed() {
		return
	}
	const mark = "<!-- Made from docs/porting and the doc comments by `go test . -run TestPortingDoc -update`. -->\n\n"
	compareGenerated(t, "docs/porting.md", mark+includeFiles(t, intro)+portingTables(functions, origins, symbols))
}

// function is a line of functions.tsv.
type function struct {
	name, header, topic string
	goForm, note        string
	line                int
}

func (f *function) isType() bool    { return f.topic == "types" }
func (f *function) isPending() bool { return f.note == pending }

// outside says that f is not a function but stands for others, of a part of SPDK that the page does not cover.
func (f *function) outside() bool { return f.header == "" }

func (f *function) covers(name string) bool {
	prefix, ok := strings.CutSuffix(f.name, "*")
	return f.name == name || ok && strings.HasPrefix(name, prefix)
}

func parseFunctions(records []record) []function {
	var functions []function
	for _, r := range records {
		functions = append(functions, function{
			name: r.field(0), header: r.field(1), topic: r.field(2), goForm: r.field(3), note: r.field(4), line: r.line,
		})
	}
	return functions
}

// checkPorting compares what functions.tsv says with what the doc comments say.
func checkPorting(functions []function, origins map[string][]origin, symbols []symbol) []string {
	var problems []string
	seen := map[string]bool{}
	for _, f := range functions {
		problemf := func(format string, args ...any) {
			where := fmt.Sprintf("functions.tsv:%d: %s: ", f.line, f.name)
			problems = append(problems, where+fmt.Sprintf(format, args...))
		}
		if seen[f.name] {
			problemf("is there twice")
		}
		seen[f.name] = true
		if f.goForm != "" && findSymbol(symbols, f.goForm) == nil {
			problemf("there is no %s: correct the Go form", f.goForm)
		}
		problems = append(problems, checkNames(fmt.Sprintf("functions.tsv:%d", f.line), f.note, symbols)...)
		switch from := origins[f.name]; {
		case f.outside() || f.isType():
		case len(from) == 0 && f.goForm == "" && f.note == "":
			problemf("nothing comes from it: end the doc comment of its Go form with \"SPDK: %s\", or say here why "+
				"there is none", f.name)
		case len(from) > 0 && f.isPending():
			problemf("is there now, as %s: delete the note \"pending\", or run this test with -update", from[0].name)
		case len(from) > 0 && f.goForm == "" && f.note != "":
			problemf("has a reason not to exist in Go, but is the origin of %s: delete the reason or the origin",
				from[0].name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(origins)) {
		isFunction := strings.HasPrefix(name, "spdk_")
		if isFunction && !slices.ContainsFunc(functions, func(f function) bool { return f.covers(name) }) {
			o := origins[name][0]
			problems = append(problems, fmt.Sprintf("%s: %s: SPDK has no %s: correct the origin, or add the function to "+
				"docs/porting/functions.tsv", o.path, o.name, name))
		}
	}
	return problems
}

var qualifiedName = regexp.MustCompile(`\b[a-z]\w*(\.[A-Z]\w*)+`)

// checkNames finds names of identifiers that do not exist, in text that nobody compiles.
func checkNames(where, text string, symbols []symbol) []string {
	var problems []string
	for _, name := range qualifiedName.FindAllString(text, -1) {
		pkg, _, _ := strings.Cut(name, ".")
		isOurs := slices.ContainsFunc(symbols, func(s symbol) bool { return strings.HasPrefix(s.name, pkg+".") })
		if isOurs && findSymbol(symbols, name) == nil {
			problems = append(problems, fmt.Sprintf("%s: there is no %s: correct the text", where, name))
		}
	}
	return problems
}

// dropPending deletes the note "pending" of what has come.
func dropPending(t *testing.T, name string, origins map[string][]origin) {
	lines := strings.Split(readFile(t, name), "\n")
	for i, line := range lines {
		fields := strings.Split(line, "\t")
		if len(origins[fields[0]]) > 0 && fields[len(fields)-1] == pending {
			lines[i] = strings.TrimRight(strings.TrimSuffix(line, pending), "\t")
		}
	}
	writeFile(t, name, strings.Join(lines, "\n"))
}

func findSymbol(symbols []symbol, name string) *symbol {
	i := slices.IndexFunc(symbols, func(s symbol) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &symbols[i]
}

// portingTables is the generated part of docs/porting.md: a table per header and topic, and one of the structures.
func portingTables(functions []function, origins map[string][]origin, symbols []symbol) string {
	var b strings.Builder
	row := func(c, goForm, path, text string) {
		if goForm == "" {
			goForm = "-"
		} else {
			goForm = fmt.Sprintf("[`%s`](../%s)", goForm, path)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c, goForm, strings.ReplaceAll(text, "|", "\\|"))
	}
	table := func(title string) { fmt.Fprintf(&b, "\n%s\n\n| C | Go | |\n|---|---|---|\n", title) }
	header, topic := "", ""
	for _, f := range functions {
		from := origins[f.name]
		if f.outside() || f.isType() && len(from) == 0 {
			continue
		}
		if f.header != header {
			fmt.Fprintf(&b, "\n### %s\n", f.header)
			header, topic = f.header, ""
		}
		if f.topic != topic {
			table("#### " + strings.Replace(f.topic, "types", "Callback types", 1))
			topic = f.topic
		}
		switch {
		case f.goForm != "":
			row(f.name, f.goForm, findSymbol(symbols, f.goForm).path, f.note)
		case f.isPending():
			row(f.name, "", "", "*Not there yet.*")
		case f.note != "":
			row(f.name, "", "", f.note)
		}
		for _, o := range from {
			row(f.name, o.name, o.path, o.summary())
		}
	}
	table("### Structures and enumerations")
	for _, name := range slices.Sorted(maps.Keys(origins)) {
		if !strings.HasPrefix(name, "spdk_") {
			for _, o := range origins[name] {
				row(name, o.name, o.path, o.summary())
			}
		}
	}
	return b.String()
}

var includeLine = regexp.MustCompile(`(?m)^@include (\S+)$`)

// includeFiles replaces each line "@include path" by the file as a block of code.
func includeFiles(t *testing.T, text string) string {
	return includeLine.ReplaceAllStringFunc(text, func(line string) string {
		name := strings.TrimPrefix(line, "@include ")
		return fmt.Sprintf("```%s\n%s```", path.Ext(name)[1:], readFile(t, name))
	})
}

// record is a line of a data file.
type record struct {
	line   int
	fields []string
}

func (r *record) field(i int) string {
	if i < len(r.fields) {
		return r.fields[i]
	}
	return ""
}

// readRecords reads a file of tab-separated fields; # begins a comment line.
func readRecords(t *testing.T, name string) []record {
	t.Helper()
	return parseRecords(readFile(t, name))
}

func parseRecords(text string) []record {
	var records []record
	for i, line := range strings.Split(text, "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			records = append(records, record{i + 1, strings.Split(line, "\t")})
		}
	}
	return records
}

// compareGenerated fails if the file does not have the text, or with -update writes it.
func compareGenerated(t *testing.T, name, text string) {
	t.Helper()
	if *update {
		writeFile(t, name, text)
		return
	}
	if got := readFile(t, name); got != text {
		t.Errorf("%s is out of date: run `go test . -run '^%s$' -update` and commit what it changes", name, t.Name())
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
