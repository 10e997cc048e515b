package filestore

import (
	"bytes"
	"fmt"
)

// treePage is a page of a tree, or the leaf inside a bucket's entry: from its header to the end of its last element.
type treePage struct {
	b     []byte
	at    int64 // in the file
	count int
	leaf  bool
}

// element is an element of a page. It is valid as long as the page.
type element struct {
	key    []byte
	value  []byte // of a leaf
	child  uint64 // of a branch
	bucket bool   // the value is a bucket
	offset int64  // of the key in the file
}

// raw returns where the key begins in the page, and the sizes of key and value. The table must be in the page.
func (p *treePage) raw(i int) (start, key, value int64) {
	at := pageHeader + i*elementSize
	b := p.b[at : at+elementSize]
	if p.leaf {
		return int64(at) + int64(native.Uint32(b[4:])), int64(native.Uint32(b[8:])), int64(native.Uint32(b[12:]))
	}
	return int64(at) + int64(native.Uint32(b)), int64(native.Uint32(b[4:])), 0
}

// element returns the i-th element; false: it isn't within the page, or has no key.
func (p *treePage) element(i int) (e element, ok bool) {
	start, key, value := p.raw(i)
	if key == 0 || start+key+value > int64(len(p.b)) {
		return e, false
	}
	e.key = p.b[start : start+key : start+key]
	e.offset = p.at + start
	b := p.b[pageHeader+i*elementSize:]
	if p.leaf {
		e.value = p.b[start+key : start+key+value : start+key+value]
		e.bucket = native.Uint32(b)&bucketFlag != 0
	} else {
		e.child = native.Uint64(b[8:])
	}
	return e, true
}

// layout reads the table of a page whose table is in p.b, and returns where the last element ends: no later than room. The
// first thing that is wrong is reported.
func (p *treePage) layout(room int64, report pageProblem) (end int64) {
	next := int64(pageHeader + p.count*elementSize)
	end = next
	wrong := ""
	for i := range p.count {
		start, key, value := p.raw(i)
		switch {
		case start+key+value > room:
			note(&wrong, "element %d of %d ends outside of its page", i+1, p.count)
			continue
		case start != next:
			note(&wrong, "element %d of %d isn't where it should be", i+1, p.count)
		case key == 0 || key > maxKeySize:
			note(&wrong, "element %d of %d has a key of %d bytes", i+1, p.count, key)
		case p.leaf && native.Uint32(p.b[pageHeader+i*elementSize:]) > bucketFlag:
			note(&wrong, "element %d of %d is of no known kind", i+1, p.count)
		}
		next = start + key + value
		end = max(end, next)
	}
	if wrong != "" {
		report(p.at, wrong)
	}
	return end
}

// note keeps the first thing that is said.
func note(first *string, format string, args ...any) {
	if *first == "" {
		*first = fmt.Sprintf(format, args...)
	}
}

// limits are what the keys of a page are within, as the page above says.
type limits struct {
	first []byte // the first one; nil: not known
	end   []byte // above all of them; nil: there is no limit
}

func (l limits) hold(key []byte) bool {
	return bytes.Compare(key, l.first) >= 0 && (l.end == nil || bytes.Compare(key, l.end) < 0)
}

// order finds the first key of a page that isn't in its place.
type order struct {
	limits
	last  []byte
	wrong string
}

// next looks at the next key and reports whether it is within the limits.
func (o *order) next(key []byte) bool {
	held := o.hold(key)
	switch {
	case o.last == nil && o.first != nil && !bytes.Equal(key, o.first):
		note(&o.wrong, "the first key isn't the one that the page above has")
	case !held:
		note(&o.wrong, "a key belongs into another page")
	case o.last != nil && bytes.Compare(o.last, key) >= 0:
		note(&o.wrong, "the keys aren't in order")
	}
	o.last = key
	return held
}
