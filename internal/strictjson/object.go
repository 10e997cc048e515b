package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Object is an object whose fields are taken one by one. A method returns the zero value for a
// field that is absent or of another type, which Err then reports. It is not safe for concurrent
// use.
type Object struct {
	path   string // "" for the outermost one
	fields map[string]json.RawMessage
	taken  map[string]struct{}
	inner  []*Object
	err    *Error
}

// newObject returns the object in a text that Check accepts.
func newObject(text []byte, path string) (*Object, error) {
	o := &Object{path: path, taken: make(map[string]struct{})}
	if err := json.Unmarshal(text, &o.fields); err != nil || o.fields == nil {
		return nil, &Error{path, "it must be a JSON object"}
	}
	return o, nil
}

// Err returns the first failure, and otherwise an error for a field that no method has asked for.
func (o *Object) Err() error {
	if o.err != nil {
		return o.err
	}
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		if _, taken := o.taken[name]; !taken {
			return &Error{o.name(name), "there is no such field"}
		}
	}
	for _, in := range o.inner {
		if err := in.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Fail makes Err return an error for the field, unless there is one already.
func (o *Object) Fail(field, reason string) {
	if o.err == nil {
		o.err = &Error{o.name(field), reason}
	}
}

func (o *Object) name(field string) string {
	switch {
	case o.path == "":
		return join([]string{field})
	case field == "":
		return o.path
	}
	return join([]string{o.path, field})
}

// Has reports whether the field is there, also with the value null.
func (o *Object) Has(field string) bool { return o.fields[field] != nil }

// Raw returns the field's JSON, nil if it is absent.
func (o *Object) Raw(field string) json.RawMessage {
	raw := o.fields[field]
	if raw != nil {
		o.taken[field] = struct{}{}
	}
	return raw
}

// IsNull reports whether the field is there and null.
func (o *Object) IsNull(field string) bool { return string(o.fields[field]) == "null" }

// take decodes the field, whose value must be want and not null.
func take[T any](o *Object, field, want string) (v T, ok bool) {
	raw := o.Raw(field)
	if raw == nil {
		return v, false
	}
	if string(raw) == "null" || json.Unmarshal(raw, &v) != nil {
		o.Fail(field, "it must be "+want)
		var none T
		return none, false
	}
	return v, true
}

// String returns a string.
func (o *Object) String(field string) string {
	s, _ := take[string](o, field, "a string")
	return s
}

// Bool returns a boolean, def if the field is absent.
func (o *Object) Bool(field string, def bool) bool {
	if v, ok := take[bool](o, field, "true or false"); ok {
		return v
	}
	return def
}

// Number returns a number; ok is false if the field is absent.
func (o *Object) Number(field string) (n float64, ok bool) {
	return take[float64](o, field, "a number")
}

// Int returns an integer of at least least and at most most, def if the field is absent. 1.0 and
// 1e3 are integers.
func (o *Object) Int(field string, def, least, most int) int {
	n, ok := o.Number(field)
	if !ok {
		return def
	}
	if n != math.Trunc(n) || n < float64(least) || n > float64(most) {
		o.Fail(field, fmt.Sprintf("it must be an integer from %d to %d", least, most))
		return def
	}
	return int(n)
}

// Strings returns an array of at most n strings.
func (o *Object) Strings(field string, n int) []string {
	list, _ := take[[]*string](o, field, "an array of strings")
	if len(list) > n {
		o.Fail(field, fmt.Sprintf("it must have at most %d elements", n))
		return nil
	}
	all := make([]string, 0, len(list))
	for i, s := range list {
		if s == nil {
			o.Fail(fmt.Sprintf("%s.%d", field, i), "it must be a string")
			return nil
		}
		all = append(all, *s)
	}
	return all
}

// Object returns an object, nil if the field is absent. Err reports its failures as well.
func (o *Object) Object(field string) *Object {
	raw := o.Raw(field)
	if raw == nil {
		return nil
	}
	in, err := newObject(raw, o.name(field))
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			o.Fail(field, e.Reason)
		}
		return nil
	}
	o.inner = append(o.inner, in)
	return in
}

// All returns every field. Nothing is unknown then.
func (o *Object) All() map[string]json.RawMessage {
	for name := range o.fields {
		o.taken[name] = struct{}{}
	}
	return o.fields
}
