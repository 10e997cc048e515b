package gorillacodec

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"reflect"
	"strings"
)

// Stored is how one value is stored. The zero Stored is none.
type Stored struct {
	native []byte // JSON, under the key itself
	entry  []byte // under a hidden key; beside native it holds the type at most
	old    []byte // as an earlier version stored it
	oldKey string // and where
}

// entry is what is stored under a hidden key: a value, or the type of the value under the key
// itself.
type entry struct {
	Type string          `json:"t,omitempty"` // the Go type, where it doesn't follow from the JSON
	JSON json.RawMessage `json:"v,omitempty"`
	Gob  []byte          `json:"g,omitempty"` // of an any that holds the value
}

func (s *Stored) none() bool { return s.native == nil && s.entry == nil && s.old == nil }

func (s *Stored) equal(o *Stored) bool {
	return bytes.Equal(s.native, o.native) && bytes.Equal(s.entry, o.entry) && bytes.Equal(s.old, o.old)
}

// same reports whether two values are the same, however they are stored: gob writes a map in
// another order each time.
func (s *Stored) same(o *Stored) bool {
	if s.equal(o) {
		return true
	}
	v, errV := s.Decode()
	w, errW := o.Decode()
	return errV == nil && errW == nil && reflect.DeepEqual(v, w)
}

// Decode returns the value.
func (s *Stored) Decode() (any, error) {
	switch {
	case s.native != nil:
		return decodeNative(s.native, s.entry)
	case s.entry != nil:
		return decodeEntry(s.entry)
	case strings.HasPrefix(s.oldKey, oldGobPrefix):
		return decodeOldGob(s.old)
	}
	return decodeJSON(s.old, "")
}

// encode returns how v is stored: under the key itself, if native allows that and JSON keeps v.
func encode(v any, native bool) (s Stored, err error) {
	var e entry
	raw, typ, ok := encodeJSON(v)
	switch {
	case !ok:
		var buf bytes.Buffer
		if err := gob.NewEncoder(&buf).Encode(&v); err != nil {
			return s, err
		}
		e.Gob = buf.Bytes()
	case native:
		s.native, e.Type = raw, typ
		if typ == "" {
			return s, nil
		}
	default:
		e.JSON, e.Type = raw, typ
	}
	s.entry, err = json.Marshal(e)
	return s, err
}

// decodeNative returns the value under a key itself. The entry holds the type that it had when it
// was saved; if native code has stored a value of another type since, that value has its own type.
func decodeNative(raw, note []byte) (any, error) {
	var e entry
	if note != nil && json.Unmarshal(note, &e) == nil && e.Type != "" {
		if v, err := decodeJSON(raw, e.Type); err == nil {
			return v, nil
		}
	}
	return decodeJSON(raw, "")
}

// isNote reports whether the entry holds no value.
func isNote(raw []byte) bool {
	var e entry
	return json.Unmarshal(raw, &e) == nil && e.JSON == nil && e.Gob == nil
}

func decodeEntry(raw []byte) (any, error) {
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	if e.Gob != nil {
		return decodeGob(e.Gob)
	}
	return decodeJSON(e.JSON, e.Type)
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
