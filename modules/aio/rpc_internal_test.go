package aio

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSavedParametersAreThoseOfTheRPC compares what a configuration has of a device with what fsdev_aio_create takes.
func TestSavedParametersAreThoseOfTheRPC(t *testing.T) {
	names := func(typ reflect.Type) (list []string) {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			list = append(list, name)
		}
		return list
	}
	taken := names(reflect.TypeFor[createRequest]())
	for _, name := range names(reflect.TypeFor[createParams]()) {
		if !slices.Contains(taken, name) {
			t.Errorf("%s is saved, but fsdev_aio_create does not know it", name)
		}
	}
}
