package gateway

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Keys that begin with one of these belong to the library: they are stored with a session's values,
// and an application neither reads nor changes them. An application's key with such a prefix fails
// the commit, so a client that chooses a key can't write the library's own keys.
const (
	GorillaPrefix  = "_gorilla_"
	reservedPrefix = "_bridge_"

	GorillaMain = GorillaPrefix + "1::"  // + key: what the main session of Gorilla() keeps about the key
	GorillaType = `{"t":`                // the beginning of a GorillaMain that has only the type of the key's value
	GorillaOld  = GorillaPrefix + "gob:" // + key: likewise, of earlier versions
)

var errKeyNotUTF8 = errors.New("the key is not valid UTF-8")

// hidden reports whether the key isn't one of the application's.
func hidden(key string) bool {
	return strings.HasPrefix(key, "_") &&
		(key == flashKey || strings.HasPrefix(key, GorillaPrefix) || strings.HasPrefix(key, reservedPrefix))
}

// IsHidden reports whether the key isn't one of the application's, and can't be set as such.
func IsHidden(key string) bool { return hidden(key) }

// HiddenKeys returns the hidden keys, without that of flashes.
func (d *Draft) HiddenKeys() []string {
	return slices.DeleteFunc(d.keys(true), func(key string) bool { return key == flashKey })
}

// StoredRaw returns the JSON of any key's value, hidden or not.
func (d *Draft) StoredRaw(key string) []byte { return d.raw(key) }

// PutStored gives any key a value, which is JSON; nil removes it.
func (d *Draft) PutStored(key string, raw []byte) {
	e := edit{key: key, raw: raw}
	if !utf8.ValidString(key) {
		e.raw, e.err = nil, errKeyNotUTF8
	}
	d.put(e)
}

// notesOf returns the hidden keys that describe the key, which Gorilla() keeps for its main
// session. A change of the key removes them; otherwise they would describe a later value.
func (d *Draft) notesOf(key string) []string {
	var notes []string
	values := d.loaded()
	for i := range values.fields {
		if name, ok := noted(values.key(i)); ok && string(name) == key {
			notes = append(notes, string(values.key(i)))
		}
	}
	return notes
}

// noted returns the key that a hidden key is about.
func noted(key []byte) (name []byte, ok bool) {
	if len(key) == 0 || key[0] != '_' {
		return nil, false
	}
	if name, ok = bytes.CutPrefix(key, []byte(GorillaMain)); !ok {
		name, ok = bytes.CutPrefix(key, []byte(GorillaOld))
	}
	return name, ok
}

// outdates reports whether d changes the key that a hidden key describes. A stored type also
// applies to the next value; a stored value doesn't.
func (d *Draft) outdates(key, raw []byte) bool {
	name, ok := noted(key)
	if !ok {
		return false
	}
	i := d.findEdit(string(name))
	return i >= 0 && d.changes(d.edits[i]) && (d.edits[i].raw == nil || !bytes.HasPrefix(raw, []byte(GorillaType)))
}

// LifetimeEdit returns the argument of SetLifetime, nil if it wasn't called, for UndoLifetime.
func (d *Draft) LifetimeEdit() *time.Duration { return d.others().life }

// UndoLifetime restores the edit of the lifetime that LifetimeEdit returned.
func (d *Draft) UndoLifetime(was *time.Duration) { d.other().life = was }

// KeyEdit is a draft's edit of one key; the zero KeyEdit is none.
type KeyEdit struct {
	e  edit
	is bool
}

// KeyEdit returns the draft's edit of the key, for Undo.
func (d *Draft) KeyEdit(key string) KeyEdit {
	if i := d.findEdit(key); i >= 0 {
		return KeyEdit{d.edits[i], true}
	}
	return KeyEdit{}
}

// Undo restores the edit of the key that KeyEdit returned.
func (d *Draft) Undo(key string, was KeyEdit) {
	i := d.findEdit(key)
	switch {
	case was.is:
		d.put(was.e)
	case i >= 0:
		d.edits = slices.Delete(d.edits, i, i+1)
		d.reindex()
	}
}
