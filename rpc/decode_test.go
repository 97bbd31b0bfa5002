package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// color is one of two strings.
type color int

func (c *color) UnmarshalText(text []byte) error {
	for i, name := range c.Values() {
		if name == string(text) {
			*c = color(i)
			return nil
		}
	}
	return errors.New("want red or blue")
}

func (color) Values() []string { return []string{"red", "blue"} }

func TestDecodeKinds(t *testing.T) {
	for _, tc := range []struct {
		raw  string
		into any
		want any // the value, or the error's text as an error
	}{
		{"127", new(int8), int8(127)},
		{"-128", new(int8), int8(-128)},
		{"128", new(int8), errors.New("want an integer of 8 bits")},
		{"-129", new(int8), errors.New("want an integer of 8 bits")},
		{"-9223372036854775808", new(int64), int64(math.MinInt64)},
		{"9223372036854775808", new(int64), errors.New("want an integer of 64 bits")},
		{"18446744073709551615", new(uint64), uint64(math.MaxUint64)},
		{"18446744073709551616", new(uint64), errors.New("want an integer of 64 bits, not negative")},
		{"-0", new(uint8), uint8(0)},
		{"-1", new(uint8), errors.New("want an integer of 8 bits, not negative")},
		{"1e2", new(uint8), uint8(100)},
		{"10.0", new(uint8), uint8(10)},
		{"12.5e1", new(uint8), uint8(125)},
		{"0.0e99", new(uint8), uint8(0)},
		{"2500e-2", new(uint8), uint8(25)},
		{"1e-1", new(uint8), errors.New("want an integer of 8 bits, not negative")},
		{"1e999999999", new(uint64), errors.New("want an integer of 64 bits, not negative")},
		{"1e99999999999999", new(uint64), errors.New("want an integer of 64 bits, not negative")},
		{`"1"`, new(int), errors.New("want an integer of 64 bits")},
		{"true", new(bool), true},
		{"1", new(bool), errors.New("want true or false")},
		{`"é\n"`, new(string), "é\n"},
		{"1.5", new(float64), 1.5},
		{`"x"`, new(float64), errors.New("want a number")},
		{"[1,2]", new([]int), []int{1, 2}},
		{"{}", new([]int), errors.New("want an array")},
		{`"blue"`, new(color), color(1)},
		{`"green"`, new(color), errors.New("want red or blue")},
		{`1`, new(color), errors.New("want a string")},
		{`{"x":1}`, new(json.RawMessage), json.RawMessage(`{"x":1}`)},
	} {
		t.Run(fmt.Sprintf("%s as %T", tc.raw, tc.into), func(t *testing.T) {
			var d decoder
			v := reflect.ValueOf(tc.into).Elem()
			err := d.decode(json.RawMessage(tc.raw), v)
			if want, ok := tc.want.(error); ok {
				if err == nil || err.Error() != want.Error() {
					t.Errorf("error %v, want %v", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, v.Interface()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeSaysWhere(t *testing.T) {
	type inner struct {
		Colors []color `json:"colors"`
	}
	type params struct {
		List []inner `json:"list"`
	}
	var p params
	err := decodeParams(json.RawMessage(`{"list":[{"colors":["red"]},{"colors":["red","x"]}]}`), &p, false)
	if want := "list[1].colors[1]: want red or blue"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestBadParamTypesPanic(t *testing.T) {
	for _, v := range []any{
		1,
		struct{ A int }{},
		struct {
			A map[string]int `json:"a"`
		}{},
		struct {
			A []chan int `json:"a"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T is accepted", v)
				}
			}()
			checkParams(reflect.TypeOf(v))
		}()
	}
}

func TestSchema(t *testing.T) {
	type inner struct {
		C color `json:"c" doc:"a colour"`
	}
	type params struct {
		Name string            `json:"name" doc:"its name"`
		N    *uint8            `json:"n,omitempty"`
		List []inner           `json:"list,omitempty"`
		Map  map[string]int16  `json:"map"`
		Any  json.RawMessage   `json:"any"`
		More []json.RawMessage `json:"more"`
	}
	got, err := json.Marshal(typeOf(reflect.TypeFor[params]()))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","properties":{"name":{"type":"string","description":"its name"},` +
		`"n":{"type":"integer","minimum":0,"maximum":255},` +
		`"list":{"type":"array","items":{"type":"object","properties":{"c":{"type":"string","description":"a colour",` +
		`"enum":["red","blue"]}},"required":["c"]}},` +
		`"map":{"type":"object","additionalProperties":{"type":"integer","minimum":-32768,"maximum":32767}},` +
		`"any":{},"more":{"type":"array","items":{}}},"required":["name","map","any","more"]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}
