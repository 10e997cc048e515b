package bridge

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"reflect"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

var errNotUTF8 = errors.New("not valid UTF-8")

// gorillaValue is what an entry holds: a value, or the type of the one that is stored under the key itself.
type gorillaValue struct {
	Type string          `json:"t,omitempty"` // the Go type, where it doesn't follow from the JSON
	JSON json.RawMessage `json:"v,omitempty"`
	Gob  []byte          `json:"g,omitempty"` // of an any that holds the value
}

// encodeGorilla returns how v is stored: under the key itself, if it may be and JSON can bring it back.
func encodeGorilla(v any, native bool) (is gorillaStored, err error) {
	var value gorillaValue
	raw, typ, ok := encodeJSON(v)
	switch {
	case !ok:
		var buf bytes.Buffer
		if err := gob.NewEncoder(&buf).Encode(&v); err != nil {
			return is, err
		}
		value.Gob = buf.Bytes()
	case native:
		is.native, value.Type = raw, typ
		if typ == "" {
			return is, nil
		}
	default:
		value.JSON, value.Type = raw, typ
	}
	is.entry, err = json.Marshal(value)
	return is, err
}

// encodeJSON returns v as JSON, and its type if that must be known to get v back; false when it can't be got back from JSON.
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

// newOf returns a pointer to a new value of one of the types that JSON keeps but doesn't tell; nil for any other type.
func newOf(typ string) any {
	switch typ {
	case "int8":
		return new(int8)
	case "int16":
		return new(int16)
	case "int32":
		return new(int32)
	case "int64":
		return new(int64)
	case "uint":
		return new(uint)
	case "uint8":
		return new(uint8)
	case "uint16":
		return new(uint16)
	case "uint32":
		return new(uint32)
	case "uint64":
		return new(uint64)
	case "float32":
		return new(float32)
	case "float64":
		return new(float64)
	}
	return newOfMany(typ)
}

// newOfMany is newOf for slices and maps.
func newOfMany(typ string) any {
	switch typ {
	case "[]uint8": // base64
		return new([]byte)
	case "[]string":
		return new([]string)
	case "[]bool":
		return new([]bool)
	case "[]int":
		return new([]int)
	case "[]int64":
		return new([]int64)
	case "[]float64":
		return new([]float64)
	case "[]interface {}":
		return new([]any)
	case "map[string]string":
		return new(map[string]string)
	case "map[string]bool":
		return new(map[string]bool)
	case "map[string]int":
		return new(map[string]int)
	case "map[string]int64":
		return new(map[string]int64)
	case "map[string]float64":
		return new(map[string]float64)
	case "map[string]interface {}":
		return new(map[string]any)
	}
	return nil
}

// decodeJSON returns the value that raw holds. Without a type an integer is an int, as code for gorilla/sessions expects.
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
	if isNull && newOfMany(typ) == nil { // encoding/json takes it for nothing to do
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

// decodeNative returns the value under a key itself. The entry tells the type that it had when it was saved; if other code has stored another one since, that counts.
func decodeNative(raw, entry []byte) (any, error) {
	var note gorillaValue
	if entry != nil && json.Unmarshal(entry, &note) == nil && note.Type != "" {
		if v, err := decodeJSON(raw, note.Type); err == nil {
			return v, nil
		}
	}
	return decodeJSON(raw, "")
}

// isNote reports whether the entry holds no value.
func isNote(entry []byte) bool {
	var value gorillaValue
	return json.Unmarshal(entry, &value) == nil && value.JSON == nil && value.Gob == nil
}

func decodeEntry(entry []byte) (any, error) {
	var value gorillaValue
	if err := json.Unmarshal(entry, &value); err != nil {
		return nil, err
	}
	if value.Gob != nil {
		return decodeGob(value.Gob)
	}
	return decodeJSON(value.JSON, value.Type)
}

// decodeOldGob reads gob as earlier versions stored it: base64 in JSON.
func decodeOldGob(raw []byte) (any, error) {
	var data []byte
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, err
	}
	return decodeGob(data)
}

func decodeGob(data []byte) (v any, err error) {
	err = gob.NewDecoder(bytes.NewReader(data)).Decode(&v)
	return v, err
}

// sameGorilla reports whether two stored values are the same, however they are stored. Gob writes a map in another order each time.
func sameGorilla(a, b *gorillaStored) bool {
	if a.equal(b) {
		return true
	}
	v, errV := a.decode()
	w, errW := b.decode()
	return errV == nil && errW == nil && reflect.DeepEqual(v, w)
}
