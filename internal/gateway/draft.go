package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/store"
)

// Draft is one caller's view of a session: the record that was loaded, and the caller's changes
// since, by top-level key. Make one with NewDraft, or give the zero Draft a base with Rebase. It is
// not safe for concurrent use.
type Draft struct {
	base    store.Record
	values  object // of base.Data; see loaded
	edits   []edit
	byKey   map[string]int // into edits, once there are many
	unread  bool           // base.Data has not been parsed yet
	cleared bool
	more    *otherEdits // nil: none
	later   *Later      // nil: the committer holds no lock
	room    *Room       // may be nil
	proved  uint64
}

// otherEdits are the changes besides values. Most drafts have none.
type otherEdits struct {
	flash  flashEdit
	token  *tokenEdit
	idle   *time.Duration
	life   *time.Duration
	failed error // the error of the commit

	inactive bool // the commit is no activity of the session
}

// others returns the other edits as they are; other returns them to be changed.
func (d *Draft) others() (o otherEdits) {
	if d.more != nil {
		o = *d.more
	}
	return o
}

func (d *Draft) other() *otherEdits {
	if d.more == nil {
		d.more = &otherEdits{}
	}
	return d.more
}

// edit is the change of one key. A nil raw deletes it; err is why its value can't be stored.
type edit struct {
	key string
	raw []byte
	err error
}

// tokenEdit replaces the token.
type tokenEdit struct {
	hash   store.TokenHash
	from   uint64            // the generation that it replaces
	login  *Login            // nil: a plain rotation
	alike  []store.TokenHash // that the same login may have stored instead
	renews bool              // because of its age
}

// Login is what a login changes besides the token.
type Login struct {
	UserID, Addr, UserAgent string
	KeepValues              bool // also those of another user; otherwise they are cleared
	// Elsewhere: the user has logged in to a session of another library, at At; zero: not known when.
	Elsewhere bool
	At        time.Time
}

// time returns when the user has logged in.
func (l *Login) time(now time.Time) time.Time {
	if l.Elsewhere {
		return l.At
	}
	return now
}

// Begin makes d, which has no changes, the draft of the record that the caller has put into Base.
func (d *Draft) Begin() (err error) {
	d.values, err = parseInto(d.room.takeFields(), d.base.Data)
	d.unread = false
	return err
}

// NewDraft returns the draft of a session as it was loaded, or of a new one, whose Revision is 0.
func NewDraft(base store.Record) (*Draft, error) {
	d := &Draft{}
	return d, d.Rebase(base)
}

// Rebase puts the changes of d on top of another state of the same session. Edits that change
// nothing are dropped first.
func (d *Draft) Rebase(base store.Record) error {
	values, err := parseInto(d.room.takeFields(), base.Data)
	if err != nil {
		return err
	}
	if len(d.edits) > 0 {
		d.edits = slices.DeleteFunc(d.edits, func(e edit) bool { return !hidden(e.key) && !d.changes(e) })
		d.reindex()
	}
	d.base, d.values, d.unread = base, values, false
	return nil
}

// loaded returns the values of base. After a commit they are parsed only when they are needed: most
// drafts end with their commit.
func (d *Draft) loaded() *object {
	if d.unread {
		d.unread = false
		var err error
		if d.values, err = parseObject(d.base.Data); err != nil {
			d.Fail(err)
		}
	}
	return &d.values
}

// Base returns the record that d is a change of. Its Data must not be changed.
func (d *Draft) Base() *store.Record { return &d.base }

// Raw returns the JSON of the key's value, or nil.
func (d *Draft) Raw(key string) []byte {
	if hidden(key) {
		return nil
	}
	return d.raw(key)
}

// raw is Raw for any key.
func (d *Draft) raw(key string) []byte {
	if i := d.findEdit(key); i >= 0 {
		return d.edits[i].raw
	}
	if d.cleared {
		return nil
	}
	return d.loaded().get(key)
}

// Keys returns the keys in the order in which they were first set.
func (d *Draft) Keys() []string { return d.keys(false) }

// keys returns the keys that are hidden, or those that aren't.
func (d *Draft) keys(those bool) []string {
	values := d.loaded()
	keys := make([]string, 0, len(values.fields)+len(d.edits))
	if !d.cleared {
		for i := range values.fields {
			if key := string(values.key(i)); hidden(key) == those && d.findEdit(key) < 0 {
				keys = append(keys, key)
			}
		}
	}
	for _, e := range d.edits {
		if hidden(e.key) == those && (e.raw != nil || e.err != nil) {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// Object returns the values of Keys as a JSON object. A value that can't be encoded is null in it.
func (d *Draft) Object() ([]byte, error) {
	values := d.loaded()
	out := append(make([]byte, 0, len(values.data)+len("{}")), '{')
	add := func(quoted, raw []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted...), ':'), raw...)
	}
	if !d.cleared {
		for i := range values.fields {
			if key := string(values.key(i)); !hidden(key) && d.findEdit(key) < 0 {
				add(values.quoted(i), values.raw(i))
			}
		}
	}
	for _, e := range d.edits {
		raw := e.raw
		if e.err != nil {
			raw = []byte("null")
		}
		if raw == nil || hidden(e.key) {
			continue
		}
		quoted, err := quote(e.key)
		if err != nil {
			return nil, err
		}
		add(quoted, raw)
	}
	return append(out, '}'), nil
}

// Set gives key a value, which is encoded at once: later changes of v have no effect. An error is
// returned by the commit.
func (d *Draft) Set(key string, v any) {
	raw, err := EncodeValue(v)
	d.SetRaw(key, raw, err)
}

// SetRaw is Set with the results of EncodeValue for the value.
func (d *Draft) SetRaw(key string, raw []byte, err error) {
	switch {
	case key == flashKey:
		err = errors.New("the key is reserved for flashes")
	case hidden(key):
		err = errors.New("the key is reserved: it begins with " + reservedPrefix + " or " + GorillaPrefix)
	case !utf8.ValidString(key):
		err = errKeyNotUTF8
	}
	if err != nil {
		raw = nil
	}
	d.put(edit{key: key, raw: raw, err: err})
}

// Delete removes key.
func (d *Draft) Delete(key string) {
	if hidden(key) {
		return
	}
	d.put(edit{key: key})
	for _, note := range d.notesOf(key) {
		d.put(edit{key: note})
	}
}

// Clear removes every key and every flash, including hidden keys except browserKey, boundedKey and
// deviceKey.
func (d *Draft) Clear() {
	d.edits, d.byKey, d.cleared = nil, nil, true
	d.other().flash = flashEdit{cleared: true}
}

// Encoded has the results of EncodeValue for a value.
type Encoded struct {
	raw []byte
	err error
}

// Encode encodes v for later.
func Encode(v any) Encoded {
	raw, err := EncodeValue(v)
	return Encoded{raw, err}
}

// EncodeAll encodes values. Their methods may be slow, or use the session: no lock is held.
func EncodeAll(values map[string]any) map[string]Encoded {
	encoded := make(map[string]Encoded, len(values))
	for key, v := range values {
		encoded[key] = Encode(v)
	}
	return encoded
}

// EncodePart is Encode for the key of an object that encoding/json has made of src.
func EncodePart(src any, key string, raw json.RawMessage) Encoded {
	e := Encode(raw)
	if e.err == nil && (strings.ContainsRune(key, utf8.RuneError) || bytes.Contains(raw, replaced)) &&
		replacesAny(reflect.ValueOf(src)) {
		e.err = errNotUTF8
	}
	return e
}

// SetEncoded is Set with a value that has been encoded before.
func (d *Draft) SetEncoded(key string, v Encoded) { d.SetRaw(key, v.raw, v.err) }

// SetAll sets a key for each of the values.
func (d *Draft) SetAll(values map[string]Encoded) {
	for key, v := range values {
		d.SetEncoded(key, v)
	}
}

// Replace replaces all values of the session.
func (d *Draft) Replace(values map[string]Encoded) {
	d.Clear()
	for k, v := range values {
		d.SetEncoded(k, v)
	}
}

// RenewToken gives the session a new token because the caller's, of the generation from, is old. A
// renewal whose token has not been presented yet may be repeated.
func (d *Draft) RenewToken(hash store.TokenHash, from uint64) {
	d.other().token = &tokenEdit{hash: hash, from: from, renews: true}
}

// ReplaceToken gives the session a new token; with login also a user, who doesn't get the values of
// another user. It applies to the generation from, that of the token that the caller knows. If the
// same login is stored already, with the hash or one that is alike, the session keeps that token.
func (d *Draft) ReplaceToken(hash store.TokenHash, from uint64, login *Login, alike ...store.TokenHash) {
	if was := d.UserID(); login != nil && !login.KeepValues && was != "" && was != login.UserID {
		d.Clear() // at the commit, too: the values stored by then are the other user's
	}
	o := d.other()
	if login == nil && o.token != nil {
		login = o.token.login
	}
	o.token = &tokenEdit{hash: hash, from: from, login: login, alike: alike}
}

// Prove sets the generation of the token that the draft's owner knows. Once a login has replaced
// it, the owner can store nothing any more. With 0, the default, the owner needs no token.
func (d *Draft) Prove(generation uint64) { d.proved = generation }

// Defer makes commits add calls of an application's code to later. It is for a draft that is
// committed while a lock is held.
func (d *Draft) Defer(later *Later) { d.later = later }

// Use gives the draft memory.
func (d *Draft) Use(r *Room) { d.room = r }

// Cut reports whether a login has shut out the draft's owner, by replacing the token that the owner
// has proved. The draft's own login doesn't, even if another request has already stored it.
func (d *Draft) Cut(rec *store.Record) bool {
	return d.proved != 0 && rec.LoginGeneration > d.proved && !d.repeats(rec)
}

// repeats reports whether the login that the draft makes is stored already.
func (d *Draft) repeats(rec *store.Record) bool {
	t := d.others().token
	return t != nil && t.login != nil && rec.UserID == t.login.UserID &&
		(rec.TokenHash == t.hash || slices.Contains(t.alike, rec.TokenHash))
}

// Fail makes the commit fail with err, unless it fails with an earlier one.
func (d *Draft) Fail(err error) {
	if o := d.other(); o.failed == nil {
		o.failed = err
	}
}

// Discard forgets all changes.
func (d *Draft) Discard() {
	*d = Draft{base: d.base, values: d.values, unread: d.unread, later: d.later, room: d.room, proved: d.proved}
}

// UserID returns the user as of this draft.
func (d *Draft) UserID() string {
	if t := d.others().token; t != nil && t.login != nil {
		return t.login.UserID
	}
	return d.base.UserID
}

// ReplacesToken reports whether a new token waits for the commit.
func (d *Draft) ReplacesToken() bool { return d.others().token != nil }

// SetIdle and SetLifetime change the session's limits; 0 is none.
func (d *Draft) SetIdle(v time.Duration)     { d.other().idle = &v }
func (d *Draft) SetLifetime(v time.Duration) { d.other().life = &v }

// Savepoint returns a copy of d to go back to, by assigning it. Another goroutine may use the copy: it
// has no Room.
func (d *Draft) Savepoint() Draft {
	c := *d
	c.room = nil
	c.edits = slices.Clone(d.edits)
	c.byKey = nil
	if d.more != nil {
		more := *d.more
		more.flash = more.flash.clone()
		c.more = &more
	}
	c.reindex()
	return c
}

// Restore undoes the changes since the savepoint, even if the draft has been rebased.
func (d *Draft) Restore(s *Draft) {
	base, values, unread, room := d.base, d.values, d.unread, d.room
	*d = s.Savepoint()
	d.base, d.values, d.unread, d.room = base, values, unread, room
}

// Changed reports whether a commit would store anything.
func (d *Draft) Changed() bool {
	if o := d.more; o != nil {
		if o.failed != nil || o.token != nil || o.idle != nil && *o.idle != d.base.Idle ||
			o.life != nil && *o.life != d.base.Lifetime {
			return true
		}
		if !o.flash.none() && o.flash.changes(d.loaded()) {
			return true
		}
	}
	if d.cleared && d.loaded().hasMoreThan(browserKey) {
		return true
	}
	return slices.ContainsFunc(d.edits, d.changes)
}

// changes reports whether e differs from what was loaded. It compares values, not checksums.
func (d *Draft) changes(e edit) bool {
	if e.err != nil || d.cleared && e.raw != nil {
		return true
	}
	was := d.loaded().get(e.key)
	return (was == nil) != (e.raw == nil) || !bytes.Equal(was, e.raw)
}

// changedKeys lists the keys that d changes.
func (d *Draft) changedKeys() []string {
	var keys []string
	if d.cleared {
		values := d.loaded()
		for i := range values.fields {
			if key := string(values.key(i)); !hidden(key) && d.findEdit(key) < 0 {
				keys = append(keys, key)
			}
		}
	}
	for _, e := range d.edits {
		if !hidden(e.key) && d.changes(e) {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// settled forgets the changes: base has them now.
func (d *Draft) settled(base *store.Record) {
	if d.ReplacesToken() {
		d.proved = base.TokenGeneration
	}
	d.base, d.values, d.unread = *base, object{}, true
	d.edits, d.byKey, d.cleared, d.more = nil, nil, false, nil
}

func (d *Draft) findEdit(key string) int {
	if d.byKey != nil {
		if i, ok := d.byKey[key]; ok {
			return i
		}
		return -1
	}
	for i := range d.edits {
		if d.edits[i].key == key {
			return i
		}
	}
	return -1
}

func (d *Draft) put(e edit) {
	if i := d.findEdit(e.key); i >= 0 {
		d.edits[i] = e
		return
	}
	if d.edits == nil {
		d.edits = d.room.takeEdits()
	}
	d.edits = append(d.edits, e)
	if d.byKey != nil {
		d.byKey[e.key] = len(d.edits) - 1
	} else {
		d.reindex()
	}
}

func (d *Draft) reindex() {
	d.byKey = nil
	if len(d.edits) < manyFields {
		return
	}
	d.byKey = make(map[string]int, 2*len(d.edits))
	for i, e := range d.edits {
		d.byKey[e.key] = i
	}
}
