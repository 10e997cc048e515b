package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// EncodeValue returns v as JSON in the form in which values are stored and compared. The common
// kinds are encoded without reflection. A value that would be decoded as another one, or not at
// all, is an error.
func EncodeValue(v any) ([]byte, error) {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case string:
		if plain(v) {
			b := make([]byte, 0, len(v)+2)
			b = append(b, '"')
			b = append(b, v...)
			return append(b, '"'), nil
		}
		if !utf8.ValidString(v) {
			return nil, errNotUTF8
		}
		return json.Marshal(v)
	case bool:
		return strconv.AppendBool(nil, v), nil
	case nil:
		return []byte("null"), nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return raw, keeps(v, raw)
}

// plain reports whether s needs no escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// DecodeValue returns the value that raw holds: integers that fit as int64, other numbers as
// float64, objects and arrays as map[string]any and []any. Each call makes a new value.
func DecodeValue(raw []byte) (any, error) {
	if len(raw) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	switch c := raw[0]; {
	case c == '"' && len(raw) > 1 && raw[len(raw)-1] == '"':
		if s := string(raw[1 : len(raw)-1]); plain(s) {
			return s, nil
		}
	case isCount(raw):
		return strconv.ParseInt(string(raw), 10, 64)
	case c == '-' || '0' <= c && c <= '9':
		if json.Valid(raw) {
			return number(string(raw))
		}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return numbers(v)
}

// isCount reports whether raw has only digits and fits an int64, as most numbers in sessions do.
func isCount(raw []byte) bool {
	if len(raw) > 18 || raw[0] == '0' && len(raw) > 1 {
		return false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// numbers replaces every json.Number in v by its value.
func numbers(v any) (any, error) {
	var err error
	switch t := v.(type) {
	case json.Number:
		return number(string(t))
	case map[string]any:
		for k, e := range t {
			if t[k], err = numbers(e); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range t {
			if t[i], err = numbers(e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func number(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i, nil
		}
	}
	return strconv.ParseFloat(s, 64)
}
