package rpc

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// field is a field of a struct as JSON has it.
type field struct {
	name     string
	index    int
	optional bool
	doc      string
}

// fieldsOf returns the fields of a struct type. It panics if it has some that cannot be parameters, which is found out
// at registration.
func fieldsOf(typ reflect.Type) []field {
	var fields []field
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" || !f.IsExported() {
			panic(fmt.Sprintf("rpc: field %s of %s has no name for JSON", f.Name, typ))
		}
		fields = append(fields, field{
			name:     name,
			index:    i,
			optional: strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero"),
			doc:      f.Tag.Get("doc"),
		})
	}
	return fields
}

var (
	rawType             = reflect.TypeFor[json.RawMessage]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// decoder reads JSON, whose grammar was checked, into Go values: keys have to be those of the type, each once, values
// of its kind.
type decoder struct{ relaxed bool }

// badValue says what is wrong, and where.
type badValue struct{ where, what string }

func (e *badValue) Error() string {
	if e.where == "" {
		return e.what
	}
	return fmt.Sprintf("%s: %s", e.where, e.what)
}

func in(where string, err error) error {
	bad := err.(*badValue)
	if bad.where != "" && !strings.HasPrefix(bad.where, "[") {
		where += "."
	}
	return &badValue{where + bad.where, bad.what}
}

func want(what string) error { return &badValue{what: "want " + what} }

// member is a name and its value.
type member struct {
	name  string
	value json.RawMessage
}

// members takes an object apart; ok says whether it is one.
func members(raw json.RawMessage) (list []member, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, false
	}
	for dec.More() {
		tok, err := dec.Token()
		name, isName := tok.(string)
		if err != nil || !isName {
			return nil, false
		}
		m := member{name: name}
		if dec.Decode(&m.value) != nil {
			return nil, false
		}
		list = append(list, m)
	}
	return list, true
}

// elements takes an array apart; ok says whether it is one.
func elements(raw json.RawMessage) (list []json.RawMessage, ok bool) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	return list, json.Unmarshal(raw, &list) == nil
}

func (d *decoder) decode(raw json.RawMessage, v reflect.Value) error {
	switch {
	case v.Type() == rawType:
		v.SetBytes(bytes.Clone(raw))
		return nil
	case v.Kind() != reflect.Pointer && v.CanAddr() && v.Addr().Type().Implements(textUnmarshalerType):
		var text string
		if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
			return want("a string")
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return &badValue{what: err.Error()}
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(raw, v.Elem())
	case reflect.Bool:
		if s := string(raw); s != "true" && s != "false" {
			return want("true or false")
		}
		v.SetBool(raw[0] == 't')
		return nil
	case reflect.String:
		return decodeString(raw, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, neg, ok := parseInteger(string(raw))
		limit := uint64(1) << (v.Type().Bits() - 1)
		if !ok || neg && n > limit || !neg && n >= limit {
			return want(fmt.Sprintf("an integer of %d bits", v.Type().Bits()))
		}
		if neg {
			n = -n
		}
		v.SetInt(int64(n))
		return nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, neg, ok := parseInteger(string(raw))
		if !ok || neg && n != 0 || v.OverflowUint(n) {
			return want(fmt.Sprintf("an integer of %d bits, not negative", v.Type().Bits()))
		}
		v.SetUint(n)
		return nil
	case reflect.Float64:
		if n, err := strconv.ParseFloat(string(raw), 64); err == nil {
			v.SetFloat(n)
			return nil
		}
		return want("a number")
	case reflect.Slice:
		return d.decodeSlice(raw, v)
	case reflect.Struct:
		return d.decodeStruct(raw, v)
	}
	panic(fmt.Sprintf("rpc: cannot decode a %s", v.Type()))
}

func decodeString(raw json.RawMessage, v reflect.Value) error {
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return want("a string")
	}
	if strings.IndexByte(text, 0) >= 0 {
		return want("a string without NUL")
	}
	v.SetString(text)
	return nil
}

func (d *decoder) decodeSlice(raw json.RawMessage, v reflect.Value) error {
	list, ok := elements(raw)
	if !ok {
		return want("an array")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i, e := range list {
		if err := d.decode(e, v.Index(i)); err != nil {
			return in(fmt.Sprintf("[%d]", i), err)
		}
	}
	return nil
}

func (d *decoder) decodeStruct(raw json.RawMessage, v reflect.Value) error {
	list, ok := members(raw)
	if !ok {
		return want("an object")
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.name] {
			return &badValue{m.name, "given twice"}
		}
		seen[m.name] = true
		known := false
		for _, f := range fields {
			if f.name != m.name {
				continue
			}
			known = true
			if err := d.decode(m.value, v.Field(f.index)); err != nil {
				return in(m.name, err)
			}
		}
		if !known && !d.relaxed {
			return &badValue{m.name, "no such parameter"}
		}
	}
	for _, f := range fields {
		if !f.optional && !seen[f.name] {
			return &badValue{f.name, "missing"}
		}
	}
	return nil
}

// parseInteger reads a JSON number whose value is an integer of at most 64 bits, in whatever form.
func parseInteger(text string) (n uint64, neg, ok bool) {
	text, neg = strings.CutPrefix(text, "-")
	if text == "" || text[0] < '0' || text[0] > '9' {
		return 0, false, false
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n, neg, true
	}
	mantissa, exp := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		e, err := strconv.ParseInt(text[i+1:], 10, 32)
		if err != nil {
			return 0, false, false
		}
		mantissa, exp = text[:i], int(e)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	exp -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)
	if trimmed = strings.TrimLeft(trimmed, "0"); trimmed == "" {
		return 0, neg, true
	}
	if exp < 0 || exp > 20 {
		return 0, false, false
	}
	n, err := strconv.ParseUint(trimmed+strings.Repeat("0", exp), 10, 64)
	return n, neg, err == nil
}
