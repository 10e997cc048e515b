package gateway

import (
	"encoding/json"
	"errors"
	"strings"
)

// object is a JSON object, taken apart no further than its top level: values stay as they are until somebody asks for one.
type object struct {
	fields []field
	index  map[string]int // only for objects with many fields
}

// field is one member. All three are views into the record's data.
type field struct {
	quoted []byte // the key as it stands in the document, quotes included
	key    []byte // the key itself
	raw    []byte // the value as it stands in the document
}

// manyFields is where a map lookup starts to beat a scan.
const manyFields = 24

var errNotObject = errors.New("session data is not a JSON object")

// parseObject takes data apart. Of a duplicate key the last one counts, as with encoding/json.
func parseObject(data []byte) (object, error) {
	var o object
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
	o.fields = make([]field, 0, fewFields(len(data)))
	for {
		f, err := p.field()
		if err != nil {
			return object{}, err
		}
		o.put(f)
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

// fewFields is for how many fields an object of the size gets room at first.
func fewFields(size int) int {
	if size < 128 {
		return 4
	}
	return 8
}

func (o *object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range o.fields {
		if string(o.fields[i].key) == key {
			return i
		}
	}
	return -1
}

// get returns the raw value of key, nil when there is none.
func (o *object) get(key string) []byte {
	if i := o.find(key); i >= 0 {
		return o.fields[i].raw
	}
	return nil
}

// put adds f, or replaces the field with its key.
func (o *object) put(f field) {
	if i := o.find(string(f.key)); i >= 0 {
		o.fields[i].raw = f.raw
		return
	}
	o.fields = append(o.fields, f)
	switch n := len(o.fields); {
	case o.index != nil:
		o.index[string(f.key)] = n - 1
	case n == manyFields:
		o.index = make(map[string]int, 2*n)
		for i := range o.fields {
			o.index[string(o.fields[i].key)] = i
		}
	}
}

// scanner walks over JSON. It checks the structure that it needs to find the ends of values; what is inside a value is
// checked by encoding/json when the value is decoded.
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

func (p *scanner) field() (field, error) {
	start := p.i
	escaped, ok := p.str()
	if !ok {
		return field{}, errNotObject
	}
	f := field{quoted: p.data[start:p.i]}
	f.key = f.quoted[1 : len(f.quoted)-1]
	if escaped {
		var s string
		if json.Unmarshal(f.quoted, &s) != nil {
			return field{}, errNotObject
		}
		f.key = []byte(s)
	}
	p.space()
	if !p.take(':') {
		return field{}, errNotObject
	}
	p.space()
	start = p.i
	if !p.value() {
		return field{}, errNotObject
	}
	f.raw = p.data[start:p.i:p.i]
	return f, nil
}

// str moves past a string and says whether it holds an escape.
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
