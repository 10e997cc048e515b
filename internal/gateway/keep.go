package gateway

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep a value may be nested: encoding/json decodes 10000 levels, and around a
// flash there are three.
const maxDepth = 10_000 - 3

var (
	errNotUTF8 = errors.New("a string is not valid UTF-8")
	errHalf    = errors.New("a string has half a surrogate pair")
	errTooDeep = fmt.Errorf("the value is nested deeper than %d levels", maxDepth)
)

// replaced is how encoding/json writes invalid UTF-8. It writes the character U+FFFD itself
// unchanged.
var replaced = []byte(`\ufffd`)

// keeps returns an error if raw, the encoding of v by encoding/json, would not be decoded to v:
// that package encodes values that it can't decode, and silently replaces invalid UTF-8.
func keeps(v any, raw []byte) error {
	if !utf8.Valid(raw) || bytes.Contains(raw, replaced) && replacesAny(reflect.ValueOf(v)) {
		return errNotUTF8
	}
	depth := 0
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			n, err := keepsString(raw[i:])
			if err != nil {
				return err
			}
			i += n
			continue
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return errTooDeep
			}
		case c == '}' || c == ']':
			depth--
		case c == '-' || '0' <= c && c <= '9':
			n, err := keepsNumber(raw[i:])
			if err != nil {
				return err
			}
			i += n
			continue
		}
		i++
	}
	return nil
}

// keepsString checks the string that raw begins with, and returns its length.
func keepsString(raw []byte) (int, error) {
	high := -1 // where the other half of a surrogate pair has to follow
	for i := 1; i < len(raw); {
		switch {
		case raw[i] == '"':
			if high >= 0 {
				return i, errHalf
			}
			return i + 1, nil
		case raw[i] != '\\':
			i++
			continue
		case i+6 > len(raw) || raw[i+1] != 'u':
			i += 2
			continue
		}
		code, _ := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
		low := 0xdc00 <= code && code < 0xe000
		if low != (high == i && high >= 0) || high >= 0 && high != i {
			return i, errHalf
		}
		i += 6
		if high = -1; 0xd800 <= code && code < 0xdc00 {
			high = i
		}
	}
	return len(raw), nil
}

// keepsNumber checks the number that raw begins with, and returns its length. A short number
// without an exponent is in range.
func keepsNumber(raw []byte) (int, error) {
	n, exponent := 0, false
	for n < len(raw) && bytes.IndexByte([]byte("+-.eE0123456789"), raw[n]) >= 0 {
		exponent = exponent || raw[n] == 'e' || raw[n] == 'E'
		n++
	}
	if exponent || n > 300 {
		if _, err := number(string(raw[:n])); err != nil {
			return n, fmt.Errorf("a number is out of range: %w", err)
		}
	}
	return n, nil
}

// replacesAny reports whether encoding/json replaces something in v. The content of a
// json.RawMessage is not replaced. For another json.Marshaler this can't be known, and an escaped
// U+FFFD in its output counts as replaced.
func replacesAny(v reflect.Value) bool {
	if !v.IsValid() {
		return false
	}
	if v.CanInterface() && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		switch m := v.Interface().(type) {
		case json.RawMessage, json.Number:
			return false
		case json.Marshaler:
			raw, err := m.MarshalJSON()
			return err == nil && bytes.Contains(raw, replaced)
		case encoding.TextMarshaler:
			text, err := m.MarshalText()
			return err == nil && !utf8.Valid(text)
		}
	}
	switch v.Kind() {
	case reflect.String:
		return !utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return replacesAny(v.Elem())
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if replacesAny(key) || replacesAny(v.MapIndex(key)) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return false // numbers, or base64
		}
		for i := range v.Len() {
			if replacesAny(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().
				Field(i); (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-" &&
				replacesAny(v.Field(i)) {
				return true
			}
		}
	}
	return false
}
