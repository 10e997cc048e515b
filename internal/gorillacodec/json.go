package gorillacodec

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// encodeJSON returns v as JSON, and its type if v can't be restored without it. It returns false if
// v can't be restored from JSON at all.
func encodeJSON(v any) (raw []byte, typ string, ok bool) {
	if v != nil {
		typ = reflect.TypeOf(v).String()
		if typ != "bool" && typ != "string" && typ != "int" && newOf(typ) == nil {
			return nil, "", false
		}
	}
	raw, err := gateway.EncodeValue(v)
	if err != nil {
		return nil, "", false
	}
	for _, typ := range []string{"", typ} {
		if back, err := decodeJSON(raw, typ); err == nil && reflect.DeepEqual(back, v) {
			return raw, typ, true
		}
	}
	return nil, "", false
}

// decodeJSON returns the value that raw holds. Without a type an integer is an int, as code for
// gorilla/sessions expects.
func decodeJSON(raw []byte, typ string) (any, error) {
	into := newOf(typ)
	isNull := bytes.Equal(raw, []byte("null"))
	switch into.(type) {
	case nil, *[]any, *map[string]any:
		if into != nil && isNull {
			return reflect.ValueOf(into).Elem().Interface(), nil
		}
		v, err := gateway.DecodeValue(raw)
		if err != nil {
			return nil, err
		}
		if into == nil {
			return asInt(v), nil
		}
		if v = asInts(v); reflect.TypeOf(v) != reflect.TypeOf(into).Elem() {
			return nil, errors.New("another type")
		}
		return v, nil
	}
	if isNull && newOfMany(typ) == nil { // encoding/json would change nothing
		return nil, errors.New("null")
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, err
	}
	return reflect.ValueOf(into).Elem().Interface(), nil
}

func asInt(v any) any {
	if i, ok := v.(int64); ok && int64(int(i)) == i {
		return int(i)
	}
	return v
}

// asInts is asInt for all that v holds.
func asInts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = asInts(e)
		}
	case []any:
		for i, e := range v {
			v[i] = asInts(e)
		}
	}
	return asInt(v)
}
