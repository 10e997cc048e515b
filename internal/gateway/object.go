package gateway

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// object is a JSON object of which only the top level has been parsed.
type object struct {
	data    []byte
	fields  []field
	index   map[string]int // only for objects with many fields
	escaped map[int][]byte // keys with escapes in the document, by their field
}

// field is one member, as positions in the object's data. It is small, because each load makes all
// of them.
type field struct {
	keyStart, keyEnd uint32 // the key in the document, with its quotes
	start, end       uint32 // the value in the document
}

// manyFields is the number of fields from which on a map lookup is faster than a scan.
const manyFields = 24

var errNotObject = errors.New("session data is not a JSON object")

// parseObject parses the top level of data. Of a duplicate key the last one counts, as with
// encoding/json.
func parseObject(data []byte) (object, error) { return parseInto(nil, data) }

// parseInto is parseObject with memory for the fields. It takes an allocation if they don't fit.
func parseInto(fields []field, data []byte) (object, error) {
	if uint64(len(data)) > math.MaxUint32 {
		return object{}, errNotObject
	}
	o := object{data: data}
	p := scanner{data: data}
	p.space()
	if p.i == len(data) { // nothing stored yet
		return o, nil
	}
	if !p.take('{') {
		return o, errNotObject
	}
	p.space()
	if p.take('}') {
		return o, p.end()
	}
	if o.fields = fields; fields == nil {
		o.fields = make([]field, 0, fewFields(len(data)))
	}
	for {
		f, escaped, ok := p.field()
		if !ok || !o.put(f, escaped) {
			return object{}, errNotObject
		}
		p.space()
		if p.take('}') {
			return o, p.end()
		}
		if !p.take(',') {
			return object{}, errNotObject
		}
		p.space()
	}
}

// fewFields returns the initial capacity, in fields, of an object of the size.
func fewFields(size int) int {
	if size < 128 {
		return 4
	}
	return 8
}

// quoted returns the field's key as in the document.
func (o *object) quoted(i int) []byte {
	f := &o.fields[i]
	return o.data[f.keyStart:f.keyEnd]
}

// key returns the field's key itself.
func (o *object) key(i int) []byte {
	if o.escaped != nil {
		if key, ok := o.escaped[i]; ok {
			return key
		}
	}
	f := &o.fields[i]
	return o.data[f.keyStart+1 : f.keyEnd-1]
}

// raw returns the field's value as in the document.
func (o *object) raw(i int) []byte {
	f := &o.fields[i]
	return o.data[f.start:f.end:f.end]
}

func (o *object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range o.fields {
		if string(o.key(i)) == key {
			return i
		}
	}
	return -1
}

// get returns the raw value of key, nil when there is none.
func (o *object) get(key string) []byte {
	if i := o.find(key); i >= 0 {
		return o.raw(i)
	}
	return nil
}

// put adds f, or replaces the field with the same key. It returns false if the key of f isn't a
// valid string.
func (o *object) put(f field, escaped bool) bool {
	key := o.data[f.keyStart+1 : f.keyEnd-1]
	if escaped {
		var s string
		if json.Unmarshal(o.data[f.keyStart:f.keyEnd], &s) != nil {
			return false
		}
		key = []byte(s)
	}
	if i := o.find(string(key)); i >= 0 {
		o.fields[i].start, o.fields[i].end = f.start, f.end
		return true
	}
	n := len(o.fields)
	o.fields = append(o.fields, f)
	if escaped {
		if o.escaped == nil {
			o.escaped = make(map[int][]byte)
		}
		o.escaped[n] = key
	}
	switch {
	case o.index != nil:
		o.index[string(key)] = n
	case n+1 == manyFields:
		o.index = make(map[string]int, 2*manyFields)
		for i := range o.fields {
			o.index[string(o.key(i))] = i
		}
	}
	return true
}

// scanner walks over JSON. It checks only the structure that it needs to find the ends of values;
// encoding/json checks a value when it is decoded.
type scanner struct {
	data []byte
	i    int
}

func (p *scanner) space() {
	for p.i < len(p.data) {
		switch p.data[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

func (p *scanner) take(c byte) bool {
	if p.i < len(p.data) && p.data[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *scanner) end() error {
	p.space()
	if p.i != len(p.data) {
		return errNotObject
	}
	return nil
}

// field moves past a member and reports whether its key has an escape.
func (p *scanner) field() (f field, escaped, ok bool) {
	keyStart := p.i
	if escaped, ok = p.str(); !ok {
		return f, false, false
	}
	keyEnd := p.i
	p.space()
	if !p.take(':') {
		return f, false, false
	}
	p.space()
	start := p.i
	if !p.value() {
		return f, false, false
	}
	//nolint:gosec // parseObject has seen that they fit
	return field{uint32(keyStart), uint32(keyEnd), uint32(start), uint32(p.i)}, escaped, true
}

// str moves past a string and reports whether it has an escape.
func (p *scanner) str() (escaped, ok bool) {
	if !p.take('"') {
		return false, false
	}
	for p.i < len(p.data) {
		switch p.data[p.i] {
		case '"':
			p.i++
			return escaped, true
		case '\\':
			escaped = true
			p.i++
		}
		p.i++
	}
	return false, false
}

// value moves past a value of any kind.
func (p *scanner) value() bool {
	if p.i == len(p.data) {
		return false
	}
	switch p.data[p.i] {
	case '"':
		_, ok := p.str()
		return ok
	case '{', '[':
		return p.nested()
	}
	start := p.i
	for p.i < len(p.data) && strings.IndexByte(",]} \t\r\n", p.data[p.i]) < 0 {
		p.i++
	}
	return p.i > start
}

func (p *scanner) nested() bool {
	depth := 0
	for p.i < len(p.data) {
		switch p.data[p.i] {
		case '"':
			if _, ok := p.str(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				p.i++
				return true
			}
		}
		p.i++
	}
	return false
}
