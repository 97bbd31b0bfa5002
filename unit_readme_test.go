package spdkgo_test

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// TestUnitReadme wants a Go test, or a reason why there is none, for every CUnit test of test/unit/cunit.tsv, and
// test/unit/README.md to say so.
func TestUnitReadme(t *testing.T) {
	suites, problems := parseSuites(readRecords(t, "test/unit/cunit.tsv"))
	tests := unitTests(loadRepository(t))
	for _, p := range append(problems, checkSuites(suites, tests)...) {
		t.Error(p)
	}
	if t.Failed() {
		return
	}
	compareGenerated(t, "test/unit/README.md", readFile(t, "test/unit/intro.md")+suiteTables(suites, tests))
}

// suite is a CUnit suite of SPDK, and the package below test/unit that has its tests.
type suite struct {
	name    string // of the folder
	origin  string // the folder in SPDK, or ownSuite
	pending bool
	tests   []cunitTest
}

// ownSuite stands for the folder of a suite that SPDK does not have.
const ownSuite = "-"

type cunitTest struct {
	name   string
	pins   string
	goName string
	reason string // why there is no Go test
}

// parseSuites takes records in the order of the file: a suite comes before its tests.
func parseSuites(records []record) (suites []*suite, problems []string) {
	byName := map[string]*suite{}
	for _, r := range records {
		if r.field(0) == "suite" {
			s := &suite{name: r.field(1), origin: r.field(2)}
			suites = append(suites, s)
			byName[s.name] = s
			continue
		}
		isPending := r.field(0) == pending
		name := r.field(0)
		if isPending {
			name = r.field(1)
		}
		switch s := byName[name]; {
		case s == nil:
			problems = append(problems, fmt.Sprintf("cunit.tsv:%d: no line above says \"suite\t%s\"", r.line, name))
		case isPending:
			s.pending = true
		default:
			c := cunitTest{name: r.field(1), pins: r.field(2), goName: r.field(3), reason: r.field(4)}
			if c.goName == "" {
				c.goName = goTestName(c.name)
			}
			s.tests = append(s.tests, c)
		}
	}
	return suites, problems
}

// goTestName is TestCreateReactor for test_create_reactor as for create_reactor.
func goTestName(name string) string {
	goName := "Test"
	for word := range strings.SplitSeq(strings.TrimPrefix(name, "test_"), "_") {
		if word != "" {
			goName += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return goName
}

// unitTests maps the tests below test/unit, as "thread.TestChannel", to their files.
func unitTests(sources []*source) map[string]string {
	tests := map[string]string{}
	for _, s := range sources {
		folder, ok := strings.CutPrefix(s.dir(), "test/unit/")
		if !ok || !s.isTest() {
			continue
		}
		for _, decl := range s.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Test") {
				tests[folder+"."+d.Name.Name] = s.path
			}
		}
	}
	return tests
}

func checkSuites(suites []*suite, tests map[string]string) []string {
	var problems []string
	for _, s := range suites {
		if s.pending && hasTests(s, tests) {
			problems = append(problems, fmt.Sprintf("test/unit/%s is there: delete the line \"pending\t%s\" of cunit.tsv",
				s.name, s.name))
			continue
		}
		for _, c := range s.tests {
			switch path := tests[s.name+"."+c.goName]; {
			case path == "" && c.reason == "" && !s.pending:
				problems = append(problems, fmt.Sprintf("test/unit/%s has no %s, which CUnit's %s wants: write it, or say in "+
					"cunit.tsv what it is called here or why there is none", s.name, c.goName, c.name))
			case path != "" && c.reason != "":
				problems = append(problems, fmt.Sprintf("%s has %s, which cunit.tsv gives a reason not to exist", path, c.goName))
			}
		}
	}
	return problems
}

func hasTests(s *suite, tests map[string]string) bool {
	for name := range tests {
		if strings.HasPrefix(name, s.name+".") {
			return true
		}
	}
	return false
}

// suiteTables is the generated part of test/unit/README.md.
func suiteTables(suites []*suite, tests map[string]string) string {
	var b strings.Builder
	for _, s := range suites {
		from, head := "SPDK: test/unit/lib/"+s.origin, "CUnit"
		if s.origin == ownSuite {
			from, head = "SPDK has no such suite", "of"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s, %d tests.", s.name, from, len(s.tests))
		if s.pending {
			b.WriteString(" Not there yet.")
		}
		fmt.Fprintf(&b, "\n\n| %s | Go | what it pins |\n|---|---|---|\n", head)
		for _, c := range s.tests {
			goTest := c.reason
			if path := tests[s.name+"."+c.goName]; path != "" {
				goTest = fmt.Sprintf("[`%s`](%s)", c.goName, strings.TrimPrefix(path, "test/unit/"))
			} else if goTest == "" {
				goTest = "pending"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.name, goTest, c.pins)
		}
	}
	return b.String()
}
