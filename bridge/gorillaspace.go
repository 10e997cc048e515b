package bridge

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// How the sessions of gorilla/sessions are stored.
//
// A value of the main one is JSON under its own key, where Session has it too; if its Go type doesn't follow from that, an entry beside it says which. Values that can't
// be there, and those of every other name, are entries: under a hidden key with name and key in it, which neither Session nor a key that somebody chooses can reach.
//
// Earlier versions had one space for all names, and gob under hidden keys of other forms. These are still read, as the main session's, until the value is changed.
const (
	entryPrefix    = gateway.GorillaPrefix + "1:" // + url.QueryEscape(name) + ":" + key; the main one: gateway.GorillaMain
	oldGobPrefix   = gateway.GorillaOld
	oldFlashKey    = gateway.GorillaPrefix + "flash" // for gorillaFlash
	gorillaFlash   = "_flash"
	nativeFlashKey = gorillaFlash // Session keeps its own flashes there, in another form
)

// gorillaSpace is where the values of one name are.
type gorillaSpace struct {
	main   bool
	prefix string // of the keys of its entries
}

func (g gorillaStore) space(name string) gorillaSpace {
	if name == g.b.opts.GorillaName || name == "" {
		return gorillaSpace{true, gateway.GorillaMain}
	}
	g.sayOther(name)
	return gorillaSpace{false, entryPrefix + url.QueryEscape(name) + ":"}
}

// gorillaStored is how one value is stored; the zero gorillaStored: it isn't.
type gorillaStored struct {
	native []byte // JSON, under the key itself
	entry  []byte // a gorillaValue, under a hidden key; beside native it says the type at most
	old    []byte // as an earlier version has it; nil: it isn't
	oldKey string // and where
}

func (g *gorillaStored) none() bool { return g.native == nil && g.entry == nil && g.old == nil }

func (g *gorillaStored) equal(o *gorillaStored) bool {
	return bytes.Equal(g.native, o.native) && bytes.Equal(g.entry, o.entry) && bytes.Equal(g.old, o.old)
}

// decode returns the value.
func (g *gorillaStored) decode() (any, error) {
	switch {
	case g.native != nil:
		return decodeNative(g.native, g.entry)
	case g.entry != nil:
		return decodeEntry(g.entry)
	case strings.HasPrefix(g.oldKey, oldGobPrefix):
		return decodeOldGob(g.old)
	}
	return decodeJSON(g.old, "")
}

// native reports whether the value of a key may be under the key itself.
func (sp *gorillaSpace) native(key string) bool { return sp.main && !gateway.IsHidden(key) }

// read returns what the draft holds of the space, by the keys of gorilla/sessions.
func (sp *gorillaSpace) read(d *gateway.Draft) map[string]gorillaStored {
	all := make(map[string]gorillaStored)
	if sp.main {
		for _, key := range d.Keys() {
			all[key] = gorillaStored{native: d.Raw(key)}
		}
	}
	for _, hidden := range d.HiddenKeys() {
		key, ok := strings.CutPrefix(hidden, sp.prefix)
		if !ok {
			continue
		}
		is := all[key]
		is.entry = d.StoredRaw(hidden)
		if is.native == nil && isNote(is.entry) { // of a value that is gone
			continue
		}
		all[key] = is
	}
	if sp.main {
		sp.readOld(d, all)
	}
	return all
}

// readOld adds what earlier versions have stored, where nothing newer is.
func (sp *gorillaSpace) readOld(d *gateway.Draft, all map[string]gorillaStored) {
	for _, hidden := range d.HiddenKeys() {
		key, isGob := strings.CutPrefix(hidden, oldGobPrefix)
		if !isGob && hidden != oldFlashKey {
			continue
		}
		if key == oldFlashKey {
			key = gorillaFlash
		}
		is := all[key]
		if is.none() {
			is.old = d.StoredRaw(hidden)
		}
		is.oldKey = hidden // to be removed with it
		all[key] = is
	}
}

// encode encodes values into now. A *ValueError names the key of one that can't be.
func (sp *gorillaSpace) encode(values map[any]any, now map[string]gorillaStored) error {
	for k, v := range values {
		key, ok := k.(string)
		switch {
		case !ok:
			return &ValueError{Key: fmt.Sprint(k), Err: fmt.Errorf("a key must be a string, not %T", k)}
		case !utf8.ValidString(key):
			return &ValueError{Key: key, Err: errNotUTF8}
		}
		is, err := encodeGorilla(v, sp.native(key))
		if err != nil {
			return &ValueError{Key: key, Err: err}
		}
		now[key] = is
	}
	return nil
}

// change has the draft change what differs between read and now, and notes what that was.
func (sp *gorillaSpace) change(d *gateway.Draft, read, now map[string]gorillaStored, note *gorillaFailure) {
	for key, is := range now {
		if was, ok := read[key]; !ok || !sameGorilla(&was, &is) {
			sp.put(d, key, was.oldKey, &is, note)
		}
	}
	for key, was := range read {
		if _, ok := now[key]; !ok {
			sp.put(d, key, was.oldKey, &gorillaStored{}, note)
		}
	}
}

// put stores a value, or removes it if there is none.
func (sp *gorillaSpace) put(d *gateway.Draft, key, oldKey string, is *gorillaStored, note *gorillaFailure) {
	note.tried[key] = *is
	put := func(key string, raw []byte) {
		note.before(d, key)
		d.PutStored(key, raw)
	}
	put(sp.prefix+key, is.entry)
	if oldKey != "" {
		put(oldKey, nil)
	}
	if sp.native(key) {
		put(key, is.native)
	}
}

// before notes what the draft does to a key of the session, before it is changed.
func (f *gorillaFailure) before(d *gateway.Draft, key string) {
	if _, noted := f.undo[key]; !noted {
		f.undo[key] = d.KeyEdit(key)
	}
}
