package sys_test

import (
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/spdk-go/spdk-go/internal/sys"
)

type receiver struct{ n int }

func (r *receiver) method() { r.n++ }

func TestFuncPCNamesFunctions(t *testing.T) {
	n := 0
	r := &receiver{}
	type named func()
	for want, fn := range map[string]any{
		"sys_test.TestFuncPCNamesFunctions":       TestFuncPCNamesFunctions,
		"sys_test.TestFuncPCNamesFunctions.func1": named(func() { n++ }),
		"sys_test.(*receiver).method-fm":          r.method,
	} {
		pc := sys.FuncPC(fn)
		if name := runtime.FuncForPC(pc).Name(); !strings.HasSuffix(name, want) {
			t.Errorf("%s is taken for %s", want, name)
		}
		if same := reflect.ValueOf(fn).Pointer(); pc != same {
			t.Errorf("%s: %#x, package reflect says %#x", want, pc, same)
		}
	}
	if n+r.n != 0 {
		t.Error("something was called")
	}
}
