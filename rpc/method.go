package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/spdk-go/spdk-go/reactor"
)

// State is where an application is on its way up, or a set of such.
//
// SPDK: SPDK_RPC_STARTUP, SPDK_RPC_RUNTIME
type State uint32

// The states of a [Service].
const (
	Startup State = 1 << iota // the framework waits to be started; options can be set
	Runtime                   // everything is up
)

// String names the states of the set.
func (s State) String() string {
	var names []string
	if s&Startup != 0 {
		names = append(names, "startup")
	}
	if s&Runtime != 0 {
		names = append(names, "runtime")
	}
	return strings.Join(names, ", ")
}

// Method describes a method.
type Method struct {
	Name   string
	States State  // in which it may be called; at least one
	Doc    string // what it does: sentences, in Markdown
	// Relaxed ignores parameters that the method does not know.
	Relaxed bool
}

// None is the type of the parameters of a method that has none. It refuses even an empty object, as SPDK does.
type None struct{}

// Defaulter is implemented by parameters, or rather their pointer, that are not zero if they are left out.
type Defaulter interface {
	// SetDefaults is called before the parameters are decoded.
	SetDefaults()
}

// entry is a registered method or alias.
type entry struct {
	Method
	aliasOf *entry // nil unless it is the deprecated name of another
	params  reflect.Type
	result  reflect.Type
	// prepare decodes the parameters and makes a call of it. Any goroutine.
	prepare func(raw json.RawMessage, c *call) (run func(t *reactor.Thread), err *Error)
}

// registry is filled by init functions and read-only afterwards.
var registry struct {
	sync.Mutex
	methods map[string]*entry
}

// Register makes a method known to every [Service]. fn is called on the service's thread; it must not wait, and has
// [Request.Reply], [Request.Fail] or [Request.FailErr] called exactly once, then or later.
//
// P is a struct whose fields have tags json:"name", or json:"name,omitempty" for those that can be left out, and
// doc:"what it means". Fields are of the kinds of JSON, pointers to such (nil if left out), slices, structs, or
// implement encoding.TextUnmarshaler. R is what encoding/json can write, with the same tags.
//
// Call it from an init function. It panics if the name is taken, or P is no such struct.
//
// SPDK: SPDK_RPC_REGISTER, spdk_rpc_register_method
func Register[P, R any](m Method, fn func(t *reactor.Thread, req *Request[P, R])) {
	e := &entry{Method: m, params: reflect.TypeFor[P](), result: reflect.TypeFor[R]()}
	checkParams(e.params)
	if m.States&(Startup|Runtime) == 0 {
		panic(fmt.Sprintf("rpc: method %q can never be called", m.Name))
	}
	none := reflect.TypeFor[P]() == reflect.TypeFor[None]()
	e.prepare = func(raw json.RawMessage, c *call) (func(t *reactor.Thread), *Error) {
		req := &Request[P, R]{call: c}
		if none {
			if raw != nil {
				return nil, errorf(InvalidParams, "'%s' requires no parameters", m.Name)
			}
		} else if err := decodeParams(raw, &req.Params, m.Relaxed); err != nil {
			return nil, errorf(InvalidParams, "Invalid parameters: %v", err)
		}
		return func(t *reactor.Thread) { fn(t, req) }, nil
	}
	add(e)
}

// RegisterAlias makes a method known under an old name too. Its first use is logged. Call it from an init function,
// after [Register]. It panics if there is no such method, or the alias is taken.
//
// SPDK: spdk_rpc_register_alias_deprecated
func RegisterAlias(method, alias string) {
	registry.Lock()
	of := registry.methods[method]
	registry.Unlock()
	if of == nil || of.aliasOf != nil {
		panic(fmt.Sprintf("rpc: alias %q of %q, which is no method", alias, method))
	}
	e := *of
	e.Name, e.aliasOf = alias, of
	add(&e)
}

func add(e *entry) {
	registry.Lock()
	defer registry.Unlock()
	if registry.methods == nil {
		registry.methods = map[string]*entry{}
	}
	if e.Name == "" || registry.methods[e.Name] != nil {
		panic(fmt.Sprintf("rpc: method %q is registered twice", e.Name))
	}
	registry.methods[e.Name] = e
}

func lookup(name string) *entry {
	registry.Lock()
	defer registry.Unlock()
	return registry.methods[name]
}

// sorted returns all entries by name.
func sorted() []*entry {
	registry.Lock()
	defer registry.Unlock()
	byName := func(a, b *entry) int { return strings.Compare(a.Name, b.Name) }
	return slices.SortedFunc(maps.Values(registry.methods), byName)
}

// MethodStates returns the states in which a method may be called; ok is false if there is no such method.
//
// SPDK: spdk_rpc_get_method_state_mask
func MethodStates(name string) (s State, ok bool) {
	if e := lookup(name); e != nil {
		return e.States, true
	}
	return 0, false
}

func decodeParams(raw json.RawMessage, params any, relaxed bool) error {
	if d, ok := params.(Defaulter); ok {
		d.SetDefaults()
	}
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	d := decoder{relaxed}
	return d.decode(bytes.TrimSpace(raw), reflect.ValueOf(params).Elem())
}

// checkParams panics if typ cannot be the parameters of a method.
func checkParams(typ reflect.Type) {
	if typ.Kind() != reflect.Struct {
		panic(fmt.Sprintf("rpc: the parameters %s are not a struct", typ))
	}
	for _, f := range fieldsOf(typ) {
		checkParam(typ.Field(f.index).Type)
	}
}

func checkParam(typ reflect.Type) {
	if typ == rawType || reflect.PointerTo(typ).Implements(textUnmarshalerType) {
		return
	}
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		checkParam(typ.Elem())
	case reflect.Struct:
		checkParams(typ)
	case reflect.Bool, reflect.String, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	default:
		panic(fmt.Sprintf("rpc: a parameter cannot be a %s", typ))
	}
}
