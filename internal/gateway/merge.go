package gateway

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// apply makes next cur with the draft's changes on top. It is a three-way merge: keys that the draft
// didn't change relative to its base stay as they are in cur.
func (g *Gateway) apply(d *Draft, cur *store.Record, now time.Time, next *store.Record) error {
	*next = *cur
	o := d.others()
	if o.failed != nil {
		return o.failed
	}
	if d.Cut(cur) {
		return ErrTokenRotated
	}
	t := o.token
	switch {
	case t == nil:
	case cur.Revision == 0: // no client has the first token yet
		next.TokenHash = t.hash
	case d.repeats(cur): // the session keeps the token that it has
	case t.renews && cur.Renewal == store.RenewalSent && cur.TokenGeneration == t.from+1: // not yet presented
		next.TokenHash = t.hash
		next.TokenGeneration++
		next.RotatedAt = now
	case cur.TokenGeneration != t.from:
		return ErrTokenRotated
	default:
		next.Renewal = store.NotRenewed
		if t.renews {
			next.Renewal = store.RenewalSent
		}
		next.PrevTokenHash, next.TokenHash = cur.TokenHash, t.hash
		next.TokenGeneration++
		next.RotatedAt = now
	}
	if t != nil && t.login != nil {
		l := t.login
		next.UserID, next.Addr, next.UserAgent = l.UserID, l.Addr, l.UserAgent
		next.LoginGeneration, next.LoggedIn = next.TokenGeneration, l.time(now)
		if g.cfg.KeepLifetime && cur.Revision != 0 && cur.Lifetime > 0 { // it counts from the login now
			next.Lifetime = max(time.Millisecond, cur.Lifetime-next.Began().Sub(cur.Began()))
		} else if life, ok := lifetimeAfterLogin(cur.Data); ok {
			next.Lifetime = life
		}
	}
	if o.idle != nil {
		next.Idle = *o.idle
	}
	if o.life != nil {
		next.Lifetime = *o.life
	}
	data, err := d.data(cur)
	if err != nil {
		return err
	}
	if limit := g.cfg.MaxValueBytes; limit > 0 && len(data) > limit && len(data) > len(cur.Data) &&
		len(data)-deviceBytes(data) > limit {
		return fmt.Errorf("%w: %d bytes, the limit (MaxValueBytes) is %d", ErrTooLarge, len(data), limit)
	}
	next.Data = data
	next.Writes++
	if !o.inactive {
		g.active(next, now)
	}
	next.WriteID = g.writeID()
	return nil
}

// active sets Seen and Expires for activity at now.
func (g *Gateway) active(rec *store.Record, now time.Time) {
	if now.After(rec.Seen) {
		rec.Seen = now
	}
	rec.Expires = time.Time{}
	if rec.Idle > 0 {
		rec.Expires = rec.Seen.Add(rec.Idle + g.touchInterval(rec.Idle))
	}
	if end := rec.LifetimeEnd(); !end.IsZero() && (rec.Expires.IsZero() || end.Before(rec.Expires)) {
		rec.Expires = end
	}
}

// data returns the values of cur with the draft's edits on top.
func (d *Draft) data(cur *store.Record) ([]byte, error) {
	values := *d.loaded()
	if cur.Revision != d.base.Revision {
		var err error
		if values, err = parseObject(cur.Data); err != nil {
			return nil, err
		}
	}
	o := d.others()
	flashes, flashed, err := o.flash.apply(&values)
	if err != nil {
		return nil, err
	}
	size := len(cur.Data) + len(flashes) + 2
	for i := range d.edits {
		if e := &d.edits[i]; e.err != nil {
			return nil, &ValueError{Key: e.key, Err: e.err}
		}
		size += len(d.edits[i].key) + len(d.edits[i].raw) + 8
	}
	out := make([]byte, 1, size)
	out[0] = '{'
	add := func(quoted, raw []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted...), ':'), raw...)
	}
	unbounds, unbinds := o.unbounds(), o.unbinds(cur.UserID)
	placed := 0 // edits that found their key in cur
	if !d.cleared {
		for i := range values.fields {
			raw := values.raw(i)
			if string(values.key(i)) == flashKey {
				if flashed {
					continue
				}
			} else if unbounds && string(values.key(i)) == boundedKey || unbinds && string(values.key(i)) == deviceKey {
				continue
			} else if j := d.findEdit(string(values.key(i))); j >= 0 {
				placed++
				if e := &d.edits[j]; hidden(e.key) || d.changes(*e) {
					raw = e.raw
				}
			} else if d.outdates(values.key(i), raw) {
				continue
			}
			if raw != nil {
				add(values.quoted(i), raw)
			}
		}
	}
	if d.cleared {
		if raw := values.get(browserKey); raw != nil && d.findEdit(browserKey) < 0 {
			add([]byte(`"`+browserKey+`"`), raw)
		}
		if raw := values.get(boundedKey); raw != nil && !unbounds {
			add([]byte(`"`+boundedKey+`"`), raw)
		}
		if raw := values.get(deviceKey); raw != nil && !unbinds {
			add([]byte(`"`+deviceKey+`"`), raw)
		}
	}
	if placed < len(d.edits) {
		for _, e := range d.edits {
			if e.raw == nil || !d.cleared && (values.find(e.key) >= 0 || !hidden(e.key) && !d.changes(e)) {
				continue
			}
			quoted, err := quote(e.key)
			if err != nil {
				return nil, &ValueError{Key: e.key, Err: err}
			}
			add(quoted, e.raw)
		}
	}
	if flashes != nil {
		add([]byte(`"`+flashKey+`"`), flashes)
	}
	return append(out, '}'), nil
}

func quote(key string) ([]byte, error) {
	if plain(key) {
		return []byte(`"` + key + `"`), nil
	}
	return json.Marshal(key)
}
