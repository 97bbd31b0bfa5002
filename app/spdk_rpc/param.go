package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spdk-go/spdk-go/rpc"
)

// param is the value of a parameter, as a flag.
type param struct {
	name string
	typ  *rpc.Type
	raw  json.RawMessage   // nil if it was not given
	list []json.RawMessage // if it is an array: its elements
}

func (v *param) given() bool { return v.raw != nil || v.list != nil }

// String returns the value as JSON, "" if there is none.
func (v *param) String() string {
	if v.list != nil {
		return "[" + string(bytes.Join(asBytes(v.list), []byte(","))) + "]"
	}
	return string(v.raw)
}

func asBytes(list []json.RawMessage) [][]byte {
	all := make([][]byte, len(list))
	for i, raw := range list {
		all[i] = raw
	}
	return all
}

// Type names the kind of value in --help.
func (v *param) Type() string {
	t := v.typ
	switch {
	case t.Kind == "array":
		return kindName(t.Items) + ", repeatable"
	case t.Kind == "boolean":
		return "bool"
	}
	return kindName(t)
}

func kindName(t *rpc.Type) string {
	switch {
	case len(t.Enum) > 0:
		return strings.Join(t.Enum, "|")
	case t.Kind == "" || t.Kind == "object" || t.Kind == "array":
		return "JSON"
	case t.Kind == "integer":
		return "int"
	}
	return t.Kind
}

// Set takes the text of a value; an array takes one element after the other.
func (v *param) Set(text string) error {
	typ := v.typ
	if typ.Kind == "array" {
		typ = typ.Items
	}
	raw, err := toJSON(typ, text)
	if err != nil {
		return err
	}
	if v.typ.Kind == "array" {
		v.list = append(v.list, raw)
	} else {
		v.raw = raw
	}
	return nil
}

// toJSON turns what was written on a command line into a value of a type.
func toJSON(typ *rpc.Type, text string) (json.RawMessage, error) {
	switch typ.Kind {
	case "boolean":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("want true or false")
		}
		return json.RawMessage(strconv.FormatBool(b)), nil
	case "integer":
		return integer(typ, text)
	case "number":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, errors.New("want a number")
		}
		return json.Marshal(f)
	case "string":
		if len(typ.Enum) > 0 && !slices.Contains(typ.Enum, text) {
			return nil, fmt.Errorf("want one of %s", strings.Join(typ.Enum, ", "))
		}
		return encode(text, "")
	}
	if !json.Valid([]byte(text)) {
		return nil, errors.New("want JSON")
	}
	return json.RawMessage(text), nil
}

// integer reads a number in decimal, 0x or 0b, or in decimal with K, M, G or T behind it.
func integer(typ *rpc.Type, text string) (json.RawMessage, error) {
	low, high := int64(math.MinInt64), uint64(math.MaxUint64)
	if typ.Minimum != nil {
		low = *typ.Minimum
	}
	if typ.Maximum != nil {
		high = *typ.Maximum
	}
	bad := fmt.Errorf("want an integer from %d to %d, perhaps with K, M, G or T", low, high)
	digits, neg := strings.CutPrefix(text, "-")
	shift := 0
	if i := len(digits) - 1; i > 0 && !strings.HasPrefix(digits, "0x") {
		if s := strings.IndexByte("KMGT", digits[i]&^0x20); s >= 0 {
			digits, shift = digits[:i], 10*(s+1)
		}
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return nil, bad
	}
	n, err := strconv.ParseUint(digits, 0, 64)
	if err != nil || n<<shift>>shift != n {
		return nil, bad
	}
	n <<= shift
	if !neg {
		if n > high || low > 0 && n < uint64(low) {
			return nil, bad
		}
		return strconv.AppendUint(nil, n, 10), nil
	}
	if n > 1<<63 || -int64(n) < low {
		return nil, bad
	}
	return strconv.AppendInt(nil, -int64(n), 10), nil
}

// object returns the parameters that were given as an object, nil if there are none.
func object(params []*param) json.RawMessage {
	var b bytes.Buffer
	for _, v := range params {
		if !v.given() {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", v.name, v)
	}
	if b.Len() == 0 {
		return nil
	}
	return json.RawMessage("{" + b.String() + "}")
}

// encode writes JSON without what encoding/json does for HTML.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
