package gateway

import (
	"crypto/rand"
	"encoding/json"
	"slices"
)

// flashKey is where a session keeps its flashes: an array of objects, each with an ID of its own.
// So concurrent writers can append without overwriting each other, and taking one flash can't
// remove another with the same text.
const flashKey = "_flash"

type flash struct {
	ID    string          `json:"i"`
	Value json.RawMessage `json:"v"`
}

// flashEdit has a draft's changes of the flashes.
type flashEdit struct {
	cleared bool
	added   []flash
	taken   []string // IDs of stored ones
	err     error
}

// AddFlashRaw appends a message that is shown once, encoded by EncodeValue. An error is returned by
// the commit.
func (d *Draft) AddFlashRaw(raw []byte, err error) {
	edit := &d.other().flash
	if err != nil {
		edit.err = err
		return
	}
	edit.added = append(edit.added, flash{ID: rand.Text(), Value: raw})
}

// TakeFlashes returns the messages, oldest first, and removes those that it returns.
func (d *Draft) TakeFlashes() []any {
	edit := &d.other().flash
	var out []any
	for _, f := range d.storedFlashes() {
		if slices.Contains(edit.taken, f.ID) {
			continue
		}
		edit.taken = append(edit.taken, f.ID)
		out = appendValue(out, f.Value)
	}
	for _, f := range edit.added {
		out = appendValue(out, f.Value)
	}
	edit.added = nil
	return out
}

func appendValue(out []any, raw []byte) []any {
	if v, err := DecodeValue(raw); err == nil {
		out = append(out, v)
	}
	return out
}

func (d *Draft) storedFlashes() []flash {
	if d.others().flash.cleared {
		return nil
	}
	return parseFlashes(d.loaded())
}

// parseFlashes returns the flashes, or none if they are malformed: that is no reason to fail a
// session.
func parseFlashes(o *object) []flash {
	raw := o.get(flashKey)
	if raw == nil {
		return nil
	}
	var list []flash
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// none reports whether there are no changes of the flashes.
func (e *flashEdit) none() bool {
	return !e.cleared && len(e.added) == 0 && len(e.taken) == 0 && e.err == nil
}

func (e *flashEdit) changes(o *object) bool {
	return len(e.added) > 0 || len(e.taken) > 0 || e.err != nil || e.cleared && o.get(flashKey) != nil
}

// apply returns the flashes to store, nil for none, and whether they differ from those in o.
func (e *flashEdit) apply(o *object) ([]byte, bool, error) {
	if e.err != nil {
		return nil, false, &ValueError{Key: flashKey, Err: e.err}
	}
	if !e.changes(o) {
		return nil, false, nil
	}
	var list []flash
	if !e.cleared {
		list = slices.DeleteFunc(parseFlashes(o), func(f flash) bool { return slices.Contains(e.taken, f.ID) })
	}
	for _, f := range e.added { // an earlier attempt with an unknown outcome may have stored it
		if !slices.ContainsFunc(list, func(is flash) bool { return is.ID == f.ID }) {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return nil, true, nil
	}
	raw, err := json.Marshal(list)
	return raw, true, err
}

func (e flashEdit) clone() flashEdit {
	e.added, e.taken = slices.Clone(e.added), slices.Clone(e.taken)
	return e
}
