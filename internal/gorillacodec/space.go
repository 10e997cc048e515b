package gorillacodec

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

const (
	namedPrefix  = gateway.GorillaPrefix + "1:" // + url.QueryEscape(name) + ":" + key
	oldGobPrefix = gateway.GorillaOld           // + key, of earlier versions
	oldFlashKey  = gateway.GorillaPrefix + "flash"
	flashKey     = "_flash" // of gorilla/sessions; native code has its own flashes under this key
)

var errNotUTF8 = errors.New("not valid UTF-8")

// Space is where the values of one session name are stored.
type Space struct {
	main   bool
	prefix string // of the keys of its entries
}

// Main is the space of the session's own values.
func Main() Space { return Space{true, gateway.GorillaMain} }

// Named is the space of any other name.
func Named(name string) Space { return Space{false, namedPrefix + url.QueryEscape(name) + ":"} }

// IsMain reports whether it is Main.
func (sp Space) IsMain() bool { return sp.main }

// native reports whether the value of a key may be under the key itself.
func (sp Space) native(key string) bool { return sp.main && !gateway.IsHidden(key) }

// Read returns what the draft holds of the space, by the keys of gorilla/sessions.
func (sp Space) Read(d *gateway.Draft) map[string]Stored {
	all := make(map[string]Stored)
	if sp.main {
		for _, key := range d.Keys() {
			all[key] = Stored{native: d.Raw(key)}
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
		readOld(d, all)
	}
	return all
}

// readOld adds the values of earlier versions, where there are no newer ones.
func readOld(d *gateway.Draft, all map[string]Stored) {
	for _, hidden := range d.HiddenKeys() {
		key, isGob := strings.CutPrefix(hidden, oldGobPrefix)
		if !isGob && hidden != oldFlashKey {
			continue
		}
		if key == oldFlashKey {
			key = flashKey
		}
		is := all[key]
		if is.none() {
			is.old = d.StoredRaw(hidden)
		}
		is.oldKey = hidden // to be removed with it
		all[key] = is
	}
}

// Encode encodes the values. A *gateway.ValueError names the key of one that can't be encoded.
func (sp Space) Encode(values map[any]any) (map[string]Stored, error) {
	now := make(map[string]Stored, len(values))
	for k, v := range values {
		key, ok := k.(string)
		switch {
		case !ok:
			return nil, &gateway.ValueError{Key: fmt.Sprint(k), Err: fmt.Errorf("a key must be a string, not %T", k)}
		case !utf8.ValidString(key):
			return nil, &gateway.ValueError{Key: key, Err: errNotUTF8}
		}
		is, err := encode(v, sp.native(key))
		if err != nil {
			return nil, &gateway.ValueError{Key: key, Err: err}
		}
		now[key] = is
	}
	return now, nil
}

// Change applies the differences between read and now to the draft.
func (sp Space) Change(d *gateway.Draft, read, now map[string]Stored, a *Attempt) {
	for key, is := range now {
		if was, ok := read[key]; !ok || !was.same(&is) {
			sp.put(d, key, was.oldKey, &is, a)
		}
	}
	for key, was := range read {
		if _, ok := now[key]; !ok {
			sp.put(d, key, was.oldKey, &Stored{}, a)
		}
	}
}

// put stores a value, or removes it if there is none.
func (sp Space) put(d *gateway.Draft, key, oldKey string, is *Stored, a *Attempt) {
	a.tried[key] = *is
	put := func(key string, raw []byte) {
		a.before(d, key)
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
