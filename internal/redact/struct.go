package redact

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Struct prints a struct: its name and the fields that aren't zero. For a function or a pointer it
// prints that it is set, and for the secret fields, which are slices, their length.
func Struct(name string, v any, secret ...string) string {
	var out strings.Builder
	out.WriteString(name + "{")
	fields := reflect.ValueOf(v)
	for i := range fields.NumField() {
		field, v := fields.Type().Field(i).Name, fields.Field(i)
		switch {
		case v.IsZero():
			continue
		case slices.Contains(secret, field):
			fmt.Fprintf(&out, "%s:[%d redacted] ", field, v.Len())
		case v.Kind() == reflect.Func, v.Kind() == reflect.Pointer:
			fmt.Fprintf(&out, "%s:set ", field)
		default:
			fmt.Fprintf(&out, "%s:%v ", field, v)
		}
	}
	return strings.TrimSuffix(out.String(), " ") + "}"
}
