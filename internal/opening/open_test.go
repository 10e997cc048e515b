package opening_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/store"
)

// A browser presents token 1 and its client cookie some time after the session was stored.
func TestTokenOpensItsSession(t *testing.T) {
	for name, c := range map[string]struct {
		record func(*store.Record)
		after  time.Duration
		reset  bool // the cookie has just been set again
		client string
		strict bool

		standing opening.Standing
		reason   opening.Reason
		err      error
	}{
		"the current token": {standing: opening.Current},
		"the previous one, within the grace period of a rotation": {
			record: replaced, after: 9 * time.Second, standing: opening.Previous,
		},
		"the previous one, after it": {record: replaced, after: 10 * time.Second, reason: opening.OtherToken},
		"the previous one, whose renewal may be under way": {
			record: byRenewal, after: 9 * time.Second, standing: opening.Previous,
		},
		"the previous one, whose renewal was lost": {
			record: byRenewal, after: 10 * time.Second, standing: opening.Lost,
		},
		"the previous one, after a renewal that was lost for too long": {
			record: byRenewal, after: time.Hour, reason: opening.OtherToken,
		},
		"the previous one, set again by a late response": {
			record: func(rec *store.Record) { replaced(rec); rec.Renewal = store.RenewalSeen },
			after:  time.Minute, reset: true, standing: opening.Late,
		},
		"the previous one of a rotation that the browser has received": {
			record: func(rec *store.Record) { replaced(rec); rec.Renewal = store.RotationSeen },
			after:  time.Second, reason: opening.OtherToken,
		},
		"one that a login has replaced": {record: byLogin, after: 9 * time.Second, standing: opening.Replaced},
		"one that a login has replaced, from another browser": {
			record: byLogin, after: time.Second, client: bob, err: gateway.ErrTokenRotated,
		},
		"one that a login has replaced, after the grace period": {
			record: byLogin, after: 10 * time.Second, reason: opening.ReplacedByLogin,
		},
		"a token that never was the session's": {
			record: func(rec *store.Record) { rec.TokenHash = token(7).Hash() }, reason: opening.OtherToken,
		},
		"with another client's cookie":              {client: bob, standing: opening.Current},
		"with another client's cookie, if Strict":   {client: bob, strict: true, reason: opening.ForeignClient},
		"with its own client's cookie, if Strict":   {strict: true, standing: opening.Current},
		"an old token with another client's cookie": {record: replaced, after: time.Minute, client: bob, reason: opening.OtherToken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(cfg *opening.Config) { cfg.Strict = c.strict })
				client := ann
				if c.client != "" {
					client = c.client
				}
				rec := w.put(one, func(rec *store.Record) {
					rec.UserID = "user"
					if c.record != nil {
						c.record(rec)
					}
				})
				session, cid := w.cookies(one, token(1), client)
				time.Sleep(c.after)
				if c.reset {
					session, _ = w.cookies(one, token(1), client)
				}
				x := w.begin(session, cid)
				o, err := x.Open(t.Context(), false, nil)
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.standing, o.Standing)
				is, _ := x.Client()
				if c.standing == opening.None {
					require.Equal(t, opening.Rejection{Reason: c.reason, SessionID: one, UserID: "user"}, o.Rejection)
					require.Equal(t, client, is, "a credential that opens nothing doesn't set the client")
					return
				}
				require.Equal(t, opening.Rejection{}, o.Rejection)
				require.Equal(t, one, o.Record.ID)
				require.Equal(t, token(1), o.Token)
				if c.standing != opening.Replaced {
					require.Equal(t, o.Standing == opening.Current, o.Generation == rec.TokenGeneration)
				}
				require.Equal(t, ann, is, "the session's client is the request's")
				require.Equal(t, client != ann, x.Mismatched())
				require.Equal(t, client != ann, len(w.mismatched) == 1)
			})
		})
	}
}

// The client cookie opens nothing.
func TestClientCookieOpensNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	_, cid := w.cookies(one, token(1), ann)
	x := w.begin(cid)
	o, err := x.Open(t.Context(), false, nil)
	require.NoError(t, err)
	require.Nil(t, o)
	id, isNew := x.Client()
	require.Equal(t, ann, id)
	require.False(t, isNew)
	require.Equal(t, one, x.NewestBefore())
}

func TestForgedCookieIsAbsent(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	session, cid := w.cookies(one, token(1), ann)
	session.Value = session.Value[:40] + "AAAA" + session.Value[44:]
	x := &opening.Exchange{}
	require.True(t, w.Begin(x, plain(session, cid), false))
	o, err := x.Open(t.Context(), false, nil)
	require.NoError(t, err)
	require.Nil(t, o)
}

func TestSessionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		before := w.browser(one, token(1))
		handshake := w.browser(one, token(1))
		time.Sleep(time.Millisecond)
		_, err := w.gateway.Destroy(t.Context(), one, ann, nil)
		require.NoError(t, err)
		time.Sleep(time.Millisecond)

		_, err = before.Open(t.Context(), false, nil)
		require.ErrorIs(t, err, gateway.ErrGone, "it was alive when the request began")
		require.Empty(t, w.missing)
		none := &opening.Opened{Record: &store.Record{}, Rejection: opening.Rejection{Reason: opening.NoSession, SessionID: one}}
		o, err := handshake.Open(t.Context(), true, nil)
		require.NoError(t, err)
		require.Equal(t, none, o, "a handshake makes no session, whose cookie could replace another")
		o, err = w.browser(one, token(1)).Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, none, o)
		require.Equal(t, []string{one, one}, w.missing)

		w.put(two, nil)
		w.attachErr = gateway.ErrMissing
		o, err = w.browser(two, token(1)).Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, opening.NoSession, o.Rejection.Reason, "it ends while it is opened")
	})
}

// A session that expires while a request is under way was alive when the request began.
func TestSessionThatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, func(rec *store.Record) { rec.Expires = rec.Created.Add(time.Minute) })
		x := w.browser(one, token(1))
		time.Sleep(2 * time.Minute)
		_, err := x.Open(t.Context(), false, nil)
		require.ErrorIs(t, err, gateway.ErrGone)
		o, err := w.browser(one, token(1)).Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, opening.NoSession, o.Rejection.Reason)
	})
}

// An outage is never the absence of a session.
func TestStoreThatFails(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	x := w.browser(one, token(1))
	s1, _ := w.cookies(one, token(1), ann)
	s2, cid := w.cookies(two, token(1), ann)
	several := w.begin(s1, s2, cid)
	w.store.err = errors.New("down")
	for _, x := range []*opening.Exchange{x, several} {
		for _, handshake := range []bool{false, true} {
			_, err := x.Open(t.Context(), handshake, nil)
			require.ErrorIs(t, err, gateway.ErrUnavailable)
		}
	}
	require.Empty(t, w.missing)
}

// The previous token of a rotation ends with the first request that presents the new one. Requests
// that began before are still served with it.
func TestPresentedTokenRetiresThePrevious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, replaced)
		time.Sleep(time.Second)
		under := w.browser(one, token(1))
		time.Sleep(time.Second)
		o, err := w.browser(one, token(2)).Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, opening.Current, o.Standing)
		seen := w.stored(one)
		require.Equal(t, store.RotationSeen, seen.Renewal)
		_, err = w.browser(one, token(2)).Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, seen.Revision, w.stored(one).Revision, "it is stored once")
		time.Sleep(time.Second)
		o, err = under.Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, opening.Previous, o.Standing)
		o, err = w.browser(one, token(1)).Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.Equal(t, opening.OtherToken, o.Rejection.Reason)
	})
}

// The token that a login has replaced lets the same user log in again for all of the grace period.
func TestPresentedTokenOfALoginRetiresNothing(t *testing.T) {
	w := newWorld(t, nil)
	before := w.put(one, byLogin).Revision
	o, err := w.browser(one, token(2)).Open(t.Context(), false, nil)
	require.NoError(t, err)
	require.Equal(t, opening.Current, o.Standing)
	require.Equal(t, before, w.stored(one).Revision)
}

func TestTokenOfAClientWithoutCookies(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	session, _ := w.cookies(one, token(1), bob)
	r := plain()
	r.Header.Set("X-Token", session.Value)
	x := &opening.Exchange{}
	require.False(t, w.Begin(x, r, false))
	require.Equal(t, credentials.ByToken, x.Presented().Carrier)
	o, err := x.Open(t.Context(), false, nil)
	require.NoError(t, err)
	require.Equal(t, opening.Current, o.Standing)
	id, _ := x.Client()
	require.Equal(t, ann, id)
	require.False(t, x.Mismatched(), "there is no client cookie to compare")
	require.True(t, x.Owns(o.Record))
}

func TestOpenTicket(t *testing.T) {
	for name, c := range map[string]struct {
		session, client string
		generation      uint64
		standing        opening.Standing
	}{
		"its own session":                 {one, ann, 2, opening.Previous},
		"issued before the last rotation": {two, ann, 1, opening.Previous},
		"issued before the last login":    {one, ann, 1, opening.None},
		"of another client":               {one, bob, 2, opening.None},
		"of a session that doesn't exist": {ann, ann, 2, opening.None},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.put(one, byLogin)
			w.put(two, replaced)
			x := w.begin()
			o, err := x.OpenTicket(t.Context(), opening.Ticket{SessionID: c.session, ClientID: c.client, Generation: c.generation})
			require.NoError(t, err)
			require.Equal(t, c.standing, o.Standing)
			if o.Standing == opening.None {
				require.Equal(t, c.session, o.Rejection.SessionID)
				return
			}
			require.Equal(t, c.session, o.Record.ID)
			require.Equal(t, c.generation, o.Generation)
			w.attachErr = gateway.ErrMissing
			o, err = x.OpenTicket(t.Context(), opening.Ticket{SessionID: c.session, ClientID: c.client, Generation: c.generation})
			require.NoError(t, err)
			require.Equal(t, opening.None, o.Standing)
			w.store.err = errors.New("down")
			_, err = x.OpenTicket(t.Context(), opening.Ticket{SessionID: c.session, ClientID: c.client, Generation: c.generation})
			require.ErrorIs(t, err, gateway.ErrUnavailable)
		})
	}
}

// An imported session opens whatever the client cookie is, if its token is the derived one, and the
// response sets its credential.
func TestOpenImported(t *testing.T) {
	for name, c := range map[string]struct {
		record   func(*store.Record)
		client   string
		standing opening.Standing
		reason   opening.Reason
		cookies  int
	}{
		"without a client cookie":      {standing: opening.Current, cookies: 2},
		"with another client's cookie": {client: bob, standing: opening.Current, cookies: 2},
		"whose token was replaced": {
			record: func(rec *store.Record) { rec.TokenHash = token(7).Hash() }, reason: opening.OtherToken,
		},
		"that has ended": {reason: opening.NoSession},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *opening.Config) { cfg.Strict = true })
			if c.reason != opening.NoSession {
				w.put(one, c.record)
			}
			x := w.begin()
			if c.client != "" {
				_, cid := w.cookies(one, token(1), c.client)
				x = w.begin(cid)
			}
			o, err := x.OpenImported(t.Context(), credentials.Session{ID: one, Token: token(1)})
			require.NoError(t, err)
			require.Equal(t, c.standing, o.Standing)
			require.Equal(t, c.reason, o.Rejection.Reason)
			h := http.Header{}
			_, err = x.WriteTo(h, credentials.Response{})
			require.NoError(t, err)
			require.Len(t, h["Set-Cookie"], c.cookies)
			if c.standing == opening.Current {
				is, _ := x.Client()
				require.Equal(t, o.Record.ClientID, is)
			}
		})
	}
}
