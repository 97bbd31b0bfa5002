package spdkgo_test

import (
	"strings"
	"testing"
)

// originsOf parses text as a file of package reactor.
func originsOf(t *testing.T, text string) (byName map[string][]origin, symbols []symbol) {
	t.Helper()
	s, err := parseSource("reactor/a.go", "package reactor\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	symbols = exportedSymbols([]*source{s})
	return originsByName(symbols), symbols
}

// TestOrigins shows which symbols come from where, and what the table says about them.
func TestOrigins(t *testing.T) {
	tests := []struct {
		name, text  string
		from        string // the C name that is looked for
		wantSymbol  string // empty if it must not be found
		wantSummary string
	}{
		{"last line", "// F does. More.\n//\n// SPDK: spdk_f\nfunc F() {}", "spdk_f", "F", "F does."},
		{"same line", "// F does [T.M]. SPDK: spdk_f\nfunc F() {}", "spdk_f", "F", "F does `T.M`."},
		{"second of several", "// F does.\n//\n// SPDK: spdk_e, spdk_f\nfunc F() {}", "spdk_f", "F", "F does."},
		{"prose after it", "// F does.\n//\n// SPDK: spdk_f, which\n// aborts.\nfunc F() {}", "spdk_f", "F",
			"F does. *differs:* `spdk_f`, which aborts."},
		{"prose before it", "// F does.\n//\n// SPDK: the size of spdk_f\nfunc F() {}", "spdk_f", "F",
			"F does. *differs:* the size of `spdk_f`"},
		{"not from SPDK", "// F does.\n//\n// Not in SPDK: there spdk_f does it.\nfunc F() {}", "spdk_f", "", ""},
		{"not from SPDK, broken", "// F does. Not in\n// SPDK: see spdk_f.\nfunc F() {}", "spdk_f", "", ""},
		{"method of a generic type", "// M does. SPDK: spdk_f\nfunc (*T[X]) M() {}", "spdk_f", "T.M", "M does."},
		{"method of fmt", "// String does. SPDK: spdk_f\nfunc (T) String() string {return \"\"}", "spdk_f", "T.String",
			"String does."},
		{"type", "// T is. SPDK: spdk_f\ntype T int", "spdk_f", "T", "T is."},
		{"structure", "// T is. SPDK: struct spdk_f\ntype T int", "struct spdk_f", "T", "T is."},
		{"structure is no function", "// T is. SPDK: struct spdk_f\ntype T int", "spdk_f", "", ""},
		{"field of C", "// F does. SPDK: spdk_f.core\nfunc F() {}", "spdk_f", "", ""},
		{"field", "type T struct {\n\t// N is. SPDK: spdk_f\n\tN int\n}", "spdk_f", "T.N", "N is."},
		{"field with a comment after it", "type T struct {\n\tN int // SPDK: spdk_f\n}", "spdk_f", "T.N", ""},
		{"method of an interface", "type T interface {\n\t// M does. SPDK: spdk_f\n\tM()\n}", "spdk_f", "T.M", "M does."},
		{"group", "// Some. SPDK: spdk_f\nconst (\n\tA = 1\n\tb = 2\n\tC = 3\n)", "spdk_f", "A to C", "Some."},
		{"member of a group", "const (\n\t// A is. SPDK: spdk_f\n\tA = 1\n\tC = 3\n)", "spdk_f", "A", "A is."},
		{"variable", "// V is. SPDK: spdk_f\nvar V int", "spdk_f", "V", "V is."},
		{"not exported", "// f does. SPDK: spdk_f\nfunc f() {}", "spdk_f", "", ""},
		{"method of what is not exported", "// F does. SPDK: spdk_f\nfunc (t) F() {}", "spdk_f", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origins, _ := originsOf(t, tt.text)
			got := origins[tt.from]
			if tt.wantSymbol == "" {
				if len(got) > 0 {
					t.Errorf("%s is said to come from it", got[0].name)
				}
				return
			}
			if len(got) != 1 || got[0].name != "reactor."+tt.wantSymbol || got[0].summary() != tt.wantSummary {
				t.Errorf("got %+v, want %s with summary %q", got, tt.wantSymbol, tt.wantSummary)
			}
		})
	}
}

// TestPortingRules proves of each rule for functions.tsv that it can fail, and that the good cases pass.
func TestPortingRules(t *testing.T) {
	const f = "// F does. SPDK: spdk_f\nfunc F() {}\n"
	tests := []struct{ name, data, text, want string }{
		{"origin", "spdk_f\th\tt", f, ""},
		{"reason", "spdk_f\th\tt\t\tNobody needs it.", "", ""},
		{"Go form", "spdk_f\th\tt\treactor.T.N", "type T struct{ N int }", ""},
		{"neither", "spdk_f\th\tt", "", "nothing comes from it"},
		{"both", "spdk_f\th\tt\t\tNobody needs it.", f, "has a reason not to exist"},
		{"pending", "spdk_f\th\tt\t\tpending", "", ""},
		{"pending and there", "spdk_f\th\tt\t\tpending", f, "is there now, as reactor.F"},
		{"no such Go form", "spdk_f\th\tt\treactor.G", "func F() {}", "there is no reactor.G"},
		{"no such name in a note", "spdk_f\th\tt\t\tUse reactor.G.", "func F() {}", "there is no reactor.G"},
		{"name in a note", "spdk_f\th\tt\t\tUse reactor.F or unix.G.", "func F() {}", ""},
		{"twice", "spdk_f\th\tt\nspdk_f\th\tt", f, "is there twice"},
		{"typo", "spdk_ff\th\tt\t\tNobody needs it.", f, "SPDK has no spdk_f"},
		{"outside", "spdk_*", f, ""},
		{"type without origin", "spdk_f_cb\th\ttypes", "", ""},
		{"type", "spdk_f\th\ttypes", f, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origins, symbols := originsOf(t, tt.text)
			wantProblem(t, checkPorting(parseFunctions(parseRecords(tt.data)), origins, symbols), tt.want)
		})
	}
}

// TestPortingTables looks at the Markdown.
func TestPortingTables(t *testing.T) {
	origins, symbols := originsOf(t, "// F does a|b. SPDK: spdk_f\nfunc F() {}\n// T is. SPDK: struct spdk_t\ntype T int")
	got := portingTables(parseFunctions(parseRecords("spdk_f\th.h\tCalls\nspdk_g\th.h\tCalls\treactor.F\tAs well.\n"+
		"spdk_v\th.h\tOthers\t\tNo use.\nspdk_p\th.h\tOthers\t\tpending")), origins, symbols)
	for _, want := range []string{
		"### h.h\n\n#### Calls\n", "| `spdk_f` | [`reactor.F`](../reactor/a.go) | F does a\\|b. |\n",
		"| `spdk_g` | [`reactor.F`](../reactor/a.go) | As well. |\n\n#### Others\n", "| `spdk_v` | - | No use. |\n",
		"| `spdk_p` | - | *Not there yet.* |\n", "| `struct spdk_t` | [`reactor.T`](../reactor/a.go) | T is. |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
