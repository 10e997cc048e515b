package filestore

import "github.com/sessionbridge/sessionbridge/store"

// staged is a version that isn't durable yet.
type staged struct {
	overlay *overlay
	slot    *slot
	key     []byte
	old, v  *version

	sameOwner bool
}

// overlayCost is about the number of bytes of a session in an overlay beside its value.
const overlayCost = 300

// apply computes the outcome of the op, and stages its changes. If there are none it answers the
// op; otherwise the op becomes part of the group.
func (e *engine) apply(o *op) {
	c := &e.committer
	staged := len(c.staged)
	var out outcome
	var cur *version
	if o.kind != opSweep {
		cur, out.err = e.current(o.space, o.key, o.known)
	}
	switch {
	case out.err != nil:
	case o.kind == opSet:
		out = e.applySet(o, cur)
	case o.kind == opDestroy && cur != nil:
		e.stage(o.space, o.key, cur, &version{due: never}, destroyEntry)
		out.existed = true
	case o.kind == opTouch:
		out = e.applyTouch(o, cur)
	case o.kind == opSweep:
		out = e.applySweep(o)
	}
	if len(c.staged) == staged {
		o.answer(out)
		return
	}
	o.outcome = out
	c.group = append(c.group, o)
}

func (e *engine) applySet(o *op, cur *version) outcome {
	switch {
	case cur == nil && o.revision != 0:
		return outcome{err: store.ErrNotFound}
	case cur != nil && cur.value.revision() != o.revision:
		return outcome{err: store.ErrConflict}
	}
	v := &version{value: o.value}
	o.value.setRevision(o.revision + 1)
	if cur == nil {
		v.due = o.value.expiry()
	} else {
		if err := o.value.keepSeen(cur.value.seen()); err != nil {
			return outcome{err: err}
		}
		v.due = min(cur.due, o.value.expiry())
	}
	e.stage(o.space, o.key, cur, v, putEntry)
	return outcome{revision: o.revision + 1}
}

func (e *engine) applyTouch(o *op, cur *version) outcome {
	switch {
	case cur == nil:
		return outcome{err: store.ErrNotFound}
	case cur.value.seen() >= o.seen:
		return outcome{}
	}
	touched := append(value(nil), cur.value...)
	if err := touched.keepSeen(o.seen); err != nil {
		return outcome{err: err}
	}
	e.stage(o.space, o.key, cur, &version{value: touched, due: min(cur.due, touched.expiry())}, touchEntry)
	return outcome{}
}

// applySweep removes the sessions that have expired, and moves the index entries of the others to
// their expiry.
func (e *engine) applySweep(o *op) outcome {
	for _, d := range o.due {
		cur, err := e.current(o.space, d.key, d.known)
		if err != nil {
			return outcome{err: err, existed: true} // those before it are removed
		}
		if cur == nil || cur.due != d.at {
			continue // the session, or the entry, is gone
		}
		switch expiry := cur.value.expiry(); {
		case expiry != d.expires && !d.keep: // others may expire earlier
			d.expires, d.known, d.retry = expiry, lookup{}, true
		case expiry <= o.now && !d.keep:
			e.stage(o.space, d.key, cur, &version{due: never}, destroyEntry)
			d.removed = cur.value
		case expiry != d.at: // the touch changes only where the entry is; see former
			e.stage(o.space, d.key, cur, &version{value: cur.value, due: expiry}, touchEntry)
		}
	}
	return outcome{existed: true}
}

// current returns the session's version, which may be pending; nil: there is none.
func (e *engine) current(sp *space, key []byte, known lookup) (*version, error) {
	l := sp.layers.Load()
	v := l.active.latest(key)
	if v == nil {
		v = l.frozen.find(key)
	}
	if v != nil {
		if v.value == nil {
			return nil, nil
		}
		return v, nil
	}
	// The overlays come first: the epoch changes before versions leave them for the database.
	if known.epoch == e.epoch.Load() {
		return known.version, nil
	}
	return sp.load(e.database, key)
}

// stage adds an entry to the log and makes v the pending version of the session. The key must not
// change until the group is finished.
func (e *engine) stage(sp *space, key []byte, old, v *version, kind byte) {
	c := &e.committer
	active := sp.layers.Load().active
	s, isNew := active.stage(key, v)
	if isNew {
		s.base = baseOf(old)
	}
	st := staged{overlay: active, slot: s, key: key, old: old, v: v}
	if old != nil && v.value != nil {
		st.sameOwner = old.value.sameOwner(v.value)
	}
	if s.base.exists && s.base.owner == nil && old != nil && !st.sameOwner {
		s.base.owner = old.value
	}
	c.staged = append(c.staged, st)
	c.dirty[sp] = struct{}{}
	c.changed += int64(len(v.value))
	if isNew {
		c.changed += overlayCost
	} else if old != nil {
		c.changed -= int64(len(old.value)) // it was counted when it was staged
	}
	e.log.Append(func(b []byte) []byte { return appendEntry(b, kind, sp.name, key, v.value) })
	c.durable = c.durable || kind != touchEntry
}
