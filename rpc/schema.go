package rpc

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// MethodInfo is what is known of a method that is registered.
type MethodInfo struct {
	Method
	AliasOf string // the name to use instead, "" if this is it
	Params  *Type  // nil if it has none
	Result  *Type
}

// Type is a JSON Schema, as far as it is needed here.
type Type struct {
	Kind        string   `json:"type,omitempty"` // "" for anything
	Description string   `json:"description,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Minimum     *int64   `json:"minimum,omitempty"`
	Maximum     *uint64  `json:"maximum,omitempty"`
	Properties  []Field  `json:"-"` // of an object, in the order of the Go fields
	Items       *Type    `json:"items,omitempty"`
	Values      *Type    `json:"additionalProperties,omitempty"` // of an object with keys of its own

	closed bool // unknown properties are refused
}

// Field is a property of an object.
type Field struct {
	Name     string
	Optional bool
	Type     *Type
}

// MarshalJSON writes the type as JSON Schema.
func (t *Type) MarshalJSON() ([]byte, error) {
	type plain Type // without this method
	text, err := marshal((*plain)(t))
	if err != nil || t.Kind != "object" || t.Values != nil {
		return text, err
	}
	var required []string
	var props bytes.Buffer
	for i, f := range t.Properties {
		p, err := marshal(f.Type)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			props.WriteByte(',')
		}
		fmt.Fprintf(&props, "%q:%s", f.Name, p)
		if !f.Optional {
			required = append(required, f.Name)
		}
	}
	text = fmt.Appendf(bytes.TrimSuffix(text, []byte{'}'}), `,"properties":{%s}`, props.Bytes())
	if len(required) > 0 {
		names, err := marshal(required)
		if err != nil {
			return nil, err
		}
		text = fmt.Appendf(text, `,"required":%s`, names)
	}
	if t.closed {
		text = append(text, `,"additionalProperties":false`...)
	}
	return append(text, '}'), nil
}

// Methods describes all methods that are registered, aliases included, by name.
//
// Not in SPDK, where the sources are made from schema/schema.yaml.
func Methods() []MethodInfo {
	var list []MethodInfo
	for _, e := range sorted() {
		m := MethodInfo{Method: e.Method, Result: typeOf(e.result)}
		if e.aliasOf != nil {
			m.AliasOf = e.aliasOf.Name
		}
		if e.params != reflect.TypeFor[None]() {
			m.Params = typeOf(e.params)
			m.Params.closed = !e.Relaxed
		}
		list = append(list, m)
	}
	return list
}

// Enumerated is implemented by types that are one of a few strings.
type Enumerated interface {
	// Values returns the strings.
	Values() []string
}

var textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()

// typeOf describes a Go type as encoding/json writes it.
func typeOf(typ reflect.Type) *Type {
	if typ.Kind() == reflect.Pointer {
		return typeOf(typ.Elem())
	}
	if typ == rawType || typ.Kind() == reflect.Interface {
		return &Type{}
	}
	if e, ok := reflect.Zero(typ).Interface().(Enumerated); ok {
		return &Type{Kind: "string", Enum: e.Values()}
	}
	if typ.Implements(textMarshalerType) || reflect.PointerTo(typ).Implements(textUnmarshalerType) {
		return &Type{Kind: "string"}
	}
	switch typ.Kind() {
	case reflect.Bool:
		return &Type{Kind: "boolean"}
	case reflect.String:
		return &Type{Kind: "string"}
	case reflect.Float32, reflect.Float64:
		return &Type{Kind: "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		bits := typ.Bits() - 1
		return &Type{Kind: "integer", Minimum: new(int64(-1) << bits), Maximum: new(uint64(1)<<bits - 1)}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Type{Kind: "integer", Minimum: new(int64), Maximum: new(^uint64(0) >> (64 - typ.Bits()))}
	case reflect.Slice, reflect.Array:
		return &Type{Kind: "array", Items: typeOf(typ.Elem())}
	case reflect.Map:
		return &Type{Kind: "object", Values: typeOf(typ.Elem())}
	case reflect.Struct:
		t := &Type{Kind: "object"}
		for _, f := range fieldsOf(typ) {
			of := typeOf(typ.Field(f.index).Type)
			of.Description = f.doc
			t.Properties = append(t.Properties, Field{f.name, f.optional, of})
		}
		return t
	}
	panic(fmt.Sprintf("rpc: a %s has no form in JSON", typ))
}

// Schema returns a JSON document that describes the methods, aliases excluded: an object with, for each, its doc,
// states, and the JSON Schema of params (if there are any) and result.
func Schema() ([]byte, error) {
	type methodSchema struct {
		Doc    string   `json:"description"`
		States []string `json:"states"`
		Params *Type    `json:"params,omitempty"`
		Result *Type    `json:"result"`
	}
	methods := map[string]methodSchema{}
	for _, m := range Methods() {
		if m.AliasOf == "" {
			methods[m.Name] = methodSchema{m.Doc, strings.Split(m.States.String(), ", "), m.Params, m.Result}
		}
	}
	return json.MarshalIndent(methods, "", "  ")
}

// Markdown returns a chapter for each method, by name.
func Markdown() []byte {
	var b bytes.Buffer
	for _, m := range Methods() {
		fmt.Fprintf(&b, "\n## %s\n\n", m.Name)
		if m.AliasOf != "" {
			fmt.Fprintf(&b, "Deprecated name of %s.\n", m.AliasOf)
			continue
		}
		fmt.Fprintf(&b, "%s\n\nStates: %s.\n", m.Doc, m.States)
		if m.Params != nil {
			b.WriteString("\nParameters:\n\n")
			writeFields(&b, m.Params, "")
		}
		fmt.Fprintf(&b, "\nResult: %s.\n", m.Result.name())
		if of := m.Result.inner(); len(of.Properties) > 0 {
			b.WriteString("\n")
			writeFields(&b, of, "")
		}
	}
	return b.Bytes()
}

func writeFields(b *bytes.Buffer, t *Type, indent string) {
	for _, f := range t.Properties {
		optional := ""
		if f.Optional {
			optional = ", optional"
		}
		fmt.Fprintf(b, "%s- `%s` (%s%s)", indent, f.Name, f.Type.name(), optional)
		if f.Type.Description != "" {
			fmt.Fprintf(b, ": %s", f.Type.Description)
		}
		b.WriteByte('\n')
		writeFields(b, f.Type.inner(), indent+"  ")
	}
}

// inner returns what is in an array, or the values of an object with keys of its own.
func (t *Type) inner() *Type {
	for t.Items != nil || t.Values != nil {
		if t.Items != nil {
			t = t.Items
		} else {
			t = t.Values
		}
	}
	return t
}

// name says in words what a type is.
func (t *Type) name() string {
	switch {
	case t.Items != nil:
		return "array of " + t.Items.name()
	case t.Values != nil:
		return "object, each value " + t.Values.name()
	case t.Enum != nil:
		return "one of " + strings.Join(t.Enum, ", ")
	case t.Kind == "":
		return "any"
	}
	return t.Kind
}
