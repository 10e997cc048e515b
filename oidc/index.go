package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	namespace = "sessionbridge.oidc"
	// keepRecords is how long the record of a session is kept if the end of the session doesn't
	// remove it: longer than a browser keeps a cookie, 400 days.
	keepRecords = 401 * 24 * time.Hour
	attempts    = 16 // of a change, against other writers
	sweepAtOnce = 16 // expired records, with each login and logout: more than these add
)

// index finds the sessions that have logged in at a provider. It keeps a record for each of them in
// a namespace of the application's store, under the ID of the session. In a record, UserID stands
// for (issuer, client, sub) and ClientID for (issuer, client, sid): the indexes of the store do the
// rest. A record is a hint; whether a session is meant is decided by the session itself.
//
// A login that is being completed has a record of its own, until the session has one. While such a
// record is pending, a logout that means the login ends the session, whosever it is.
//
// The namespace has the marks of logouts as well: see marks.go.
type index struct {
	store   store.Store
	users   store.UserIndex
	clients store.ClientIndex
	sweeper store.Sweeper // nil: records stay
	timeout time.Duration
	keep    time.Duration // of marks
}

func newIndex(o *Options) (*index, error) {
	apps, ok := store.As[store.Namespacer](o.Store)
	if !ok {
		return nil, fmt.Errorf("oidc: Options.Store: %w: store.Namespacer", bridge.ErrUnsupported)
	}
	x := &index{store: apps.App(namespace), timeout: o.Timeout, keep: o.LoginWithin + 2*o.Leeway + time.Minute}
	if x.users, ok = store.As[store.UserIndex](x.store); !ok {
		return nil, fmt.Errorf("oidc: Options.Store: %w: store.UserIndex", bridge.ErrUnsupported)
	}
	if x.clients, ok = store.As[store.ClientIndex](x.store); !ok {
		return nil, fmt.Errorf("oidc: Options.Store: %w: store.ClientIndex", bridge.ErrUnsupported)
	}
	x.sweeper, _ = store.As[store.Sweeper](x.store)
	return x, nil
}

// entry is a record of the index.
type entry struct{ store.Record }

// entryData is the Data of a record.
type entryData struct {
	Session  string    `json:"session"` // its ID
	UserID   string    `json:"userId"`
	IssuedAt time.Time `json:"issuedAt"`
	Pending  time.Time `json:"pending,omitzero"` // until then, of a login that may not be stored yet
}

// describe makes the record that of a login. Of d it sets what the login says. A zero expires means
// never.
func (e *entry) describe(l *Login, d entryData, expires time.Time) {
	e.UserID, e.ClientID = subjectKey(l.Issuer, l.ClientID, l.Subject), ""
	if l.SessionID != "" {
		e.ClientID = uuidOf("sid", l.Issuer, l.ClientID, l.SessionID)
	}
	d.UserID, d.IssuedAt = l.UserID, l.IssuedAt
	e.Data, _ = json.Marshal(d)
	e.Expires = expires
}

func (e *entry) data() (d entryData, err error) {
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return d, unavailable("read a record of a login", err)
	}
	return d, nil
}

// announce stores a record for a login that is about to be stored in the session, and returns the
// record's ID.
func (x *index) announce(ctx context.Context, session string, l *Login, until time.Time) (id string, err error) {
	id = uuidOf("pending", rand.Text())
	err = x.put(ctx, id, func(e *entry) error {
		e.describe(l, entryData{Session: session, Pending: until.UTC()}, now().Add(keepRecords))
		return nil
	})
	return id, err
}

// expiry returns when the record of the session expires, in case its end doesn't remove it. The
// application may give the session a longer lifetime afterwards.
func expiry(info *bridge.Info) time.Time {
	if info.Lifetime <= 0 {
		return time.Time{}
	}
	return time.Now().Add(max(keepRecords, info.Lifetime+24*time.Hour))
}

// put creates or changes the record with the ID: change gets it as it is stored, or a new one.
// change is called again after a conflict.
func (x *index) put(ctx context.Context, id string, change func(e *entry) error) error {
	for range attempts {
		rec, err := x.get(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			rec = store.Record{ID: id, TokenGeneration: 1, Created: now(), Data: []byte("{}")}
		case err != nil:
			return unavailable("read a record", err)
		}
		e := &entry{rec}
		if err := change(e); err != nil {
			return err
		}
		e.Seen = now()
		e.Writes++
		_, _ = rand.Read(e.WriteID[:])
		err = x.set(ctx, e.Record)
		if err == nil {
			x.sweep(ctx)
			return nil
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrBusy) {
			return unavailable("store a record", err)
		}
	}
	return unavailable("store a record", store.ErrConflict)
}

// find returns the records of the sessions that the logout may mean.
func (x *index) find(ctx context.Context, l *logout) (found []entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	collect := func(all iter.Seq2[store.Record, error], wanted func(*store.Record) bool) {
		for rec, e := range all {
			if e != nil {
				err = unavailable("look for the sessions of a logout", e)
				return
			}
			if wanted(&rec) {
				found = append(found, entry{rec})
			}
		}
	}
	if l.SessionID != "" {
		sid := uuidOf("sid", l.issuer, l.client, l.SessionID)
		collect(x.clients.ByClient(ctx, sid), func(*store.Record) bool { return true })
	}
	if l.Subject != "" && err == nil {
		collect(x.users.ByUser(ctx, subjectKey(l.issuer, l.client, l.Subject)), func(rec *store.Record) bool {
			return l.SessionID == "" || rec.ClientID == "" // with a sid it is found by that, or isn't meant
		})
	}
	return found, err
}

// forget removes the record of a session that has ended. A session that ends on another node is
// that node's.
func (x *index) forget(d bridge.SessionDestroy) {
	if d.Via == bridge.ViaNode || d.UserID == "" && d.Via != bridge.ViaStore {
		return
	}
	x.remove(context.Background(), d.SessionID)
}

// remove removes the record with the ID. If that fails, the record stays until it expires.
func (x *index) remove(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	_, _ = x.store.Destroy(ctx, id)
}

// sweep removes a few expired records.
func (x *index) sweep(ctx context.Context) {
	if x.sweeper == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	_, _ = x.sweeper.Sweep(ctx, now(), sweepAtOnce)
}

func (x *index) get(ctx context.Context, id string) (store.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	return x.store.Get(ctx, id)
}

func (x *index) set(ctx context.Context, rec store.Record) error {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	_, err := x.store.Set(ctx, rec)
	return err
}

// unavailable returns an error that is bridge.ErrStoreUnavailable.
func unavailable(doing string, err error) error {
	return fmt.Errorf("oidc: %s: %w: %w", doing, bridge.ErrStoreUnavailable, err)
}

// now returns the time with the precision of records.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func subjectKey(issuer, client, subject string) string { return digest("sub", issuer, client, subject) }

// digest returns a hash of the parts as text. Different parts have different hashes.
func digest(parts ...string) string { return fmt.Sprintf("%x", sum(parts)) }

// uuidOf returns a hash of the parts in the form of a UUIDv4, as the IDs of records and clients
// have it.
func uuidOf(parts ...string) string {
	id := sum(parts)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

func sum(parts []string) (s [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
