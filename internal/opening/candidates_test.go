package opening_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/store"
)

// ofBob makes a session one of another client.
func ofBob(rec *store.Record) { rec.ClientID = bob }

// A browser has cookies of two sessions, that of the session "one" set last, and one client cookie,
// of ann.
func TestSeveralCookies(t *testing.T) {
	gone := func(w *world) { w.ended = nil; _, _ = w.gateway.Destroy(w.t.Context(), one, "", nil) }
	for name, c := range map[string]struct {
		one, two func(*store.Record)
		before   func(w *world) // after the request began

		session    string // that is opened
		standing   opening.Standing
		passedOver bool
		reason     opening.Reason // of one
		err        error
	}{
		"the last one comes first": {session: one, standing: opening.Current},
		"an unknown token is passed over": {
			one: func(rec *store.Record) { rec.TokenHash = token(7).Hash() }, session: two, standing: opening.Current,
		},
		"the client's own comes first": {one: ofBob, session: two, standing: opening.Current},
		"another client's is better than none": {
			one: ofBob, two: func(rec *store.Record) { rec.TokenHash = token(7).Hash() },
			session: one, standing: opening.Current,
		},
		"one that a login has replaced gives way": {one: byLogin, session: two, standing: opening.Current, passedOver: true},
		"one that a login has replaced is the last": {
			one: byLogin, two: func(rec *store.Record) { rec.TokenHash = token(7).Hash() },
			session: one, standing: opening.Replaced,
		},
		"the client's login counts more than another client's session": {
			one: byLogin, two: ofBob, session: one, standing: opening.Replaced,
		},
		"another client's that a login has replaced gives way": {
			one: func(rec *store.Record) { byLogin(rec); ofBob(rec) }, two: ofBob,
			session: two, standing: opening.Current,
		},
		"one that has ended since gives way": {before: gone, session: two, standing: opening.Current, passedOver: true},
		"one that has ended since, and no other": {
			before: gone, two: func(rec *store.Record) { rec.TokenHash = token(7).Hash() }, err: gateway.ErrGone,
		},
		"none": {
			one:    func(rec *store.Record) { rec.TokenHash = token(7).Hash() },
			two:    func(rec *store.Record) { rec.TokenHash = token(7).Hash() },
			reason: opening.OtherToken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.put(one, c.one)
				w.put(two, c.two)
				second, _ := w.cookies(two, token(1), ann)
				time.Sleep(time.Second)
				first, cid := w.cookies(one, token(1), ann)
				x := w.begin(second, first, cid)
				if c.before != nil {
					time.Sleep(time.Millisecond)
					c.before(w)
				}
				o, err := x.Open(t.Context(), false, nil)
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.standing, o.Standing)
				require.Equal(t, c.session, o.Record.ID)
				require.Equal(t, c.passedOver, o.PassedOver)
				require.Equal(t, c.reason, o.Rejection.Reason)
				if c.reason != opening.NotRejected {
					require.Equal(t, one, o.Rejection.SessionID, "the first that was tried")
				}
			})
		})
	}
}

// After a logout no older cookie opens another session of the browser. Sessions whose token the
// request doesn't prove, or of other clients, stay.
func TestEndOthers(t *testing.T) {
	w := newWorld(t, nil)
	ids := []string{one, two, "6ba7b810-9dad-41d1-80b4-00c04fd430c3", "6ba7b810-9dad-41d1-80b4-00c04fd430c4"}
	w.put(ids[0], nil)
	w.put(ids[1], nil)
	w.put(ids[2], ofBob)
	w.put(ids[3], func(rec *store.Record) { rec.TokenHash = token(7).Hash() })
	var cookies []*http.Cookie
	for _, id := range ids {
		session, _ := w.cookies(id, token(1), ann)
		cookies = append(cookies, session)
	}
	_, cid := w.cookies(one, token(1), ann)
	x := w.begin(append(cookies, cid)...)
	var later gateway.Later
	require.NoError(t, x.EndOthers(t.Context(), &later, one, nil))
	later.Run()
	require.Equal(t, []string{two}, w.ended)

	w.ended = nil
	require.NoError(t, w.begin(cookies[0], cid).EndOthers(t.Context(), &later, two, nil))
	require.Empty(t, w.ended, "a request with one cookie presents no other session")
}
