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

// loggedIn makes a session one that a login has begun now.
func loggedIn(rec *store.Record) {
	rec.UserID, rec.LoggedIn, rec.LoginGeneration = "user", gateway.Now(), rec.TokenGeneration
}

// written returns the names of the cookies that the response sets.
func written(t *testing.T, x *opening.Exchange) (names []string) {
	t.Helper()
	h := make(http.Header)
	_, err := x.WriteTo(h, credentials.Response{Asked: true, Opened: true})
	require.NoError(t, err)
	for _, c := range (&http.Response{Header: h}).Cookies() {
		names = append(names, c.Name)
	}
	return names
}

// A request that a login of its browser has overtaken creates no session.
func TestMayCreate(t *testing.T) {
	for name, nodes := range map[string]bool{"one process": false, "several": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(cfg *opening.Config) { cfg.Nodes = nodes })
				_, cid := w.cookies(one, token(1), ann)
				x, stranger := w.begin(cid), w.begin()
				require.NoError(t, x.MayCreate(t.Context()))
				time.Sleep(time.Second)
				w.put(one, nil)
				require.NoError(t, x.MayCreate(t.Context()), "there was no login")
				w.put(two, loggedIn)
				if nodes { // it was another process
					w.clients.Detach(two)
				}
				require.ErrorIs(t, x.MayCreate(t.Context()), gateway.ErrTokenRotated)
				require.NoError(t, stranger.MayCreate(t.Context()))
				time.Sleep(time.Second)
				require.NoError(t, w.begin(cid).MayCreate(t.Context()), "it began after the login")
				w.store.err = errors.New("down")
				if !nodes {
					require.ErrorIs(t, x.MayCreate(t.Context()), gateway.ErrUnavailable)
				}
			})
		})
	}
}

// A request whose token was replaced a moment ago, so that it opens nothing, creates no session:
// its browser has a newer cookie.
func TestOutrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, func(rec *store.Record) { replaced(rec); rec.Renewal = store.RotationSeen })
		time.Sleep(time.Second)
		x := w.browser(one, token(1))
		stranger := w.begin(pair(w.cookies(one, token(1), bob))...)
		for _, x := range []*opening.Exchange{x, stranger} {
			o, err := x.Open(t.Context(), false, nil)
			require.NoError(t, err)
			require.Equal(t, opening.OtherToken, o.Rejection.Reason)
		}
		require.True(t, x.Outrun())
		require.ErrorIs(t, x.MayCreate(t.Context()), gateway.ErrTokenRotated)
		require.False(t, stranger.Outrun())
		require.NoError(t, stranger.MayCreate(t.Context()))
		time.Sleep(grace.Rotate)
		x = w.browser(one, token(1))
		_, err := x.Open(t.Context(), false, nil)
		require.NoError(t, err)
		require.False(t, x.Outrun())
	})
}

// A cookie is dropped if its response leaves long after the decision and it would replace a newer
// one.
func TestDropOvertaken(t *testing.T) {
	both := []string{"sid", "sid.cid"}
	for name, c := range map[string]struct {
		remove bool
		after  time.Duration
		then   func(w *world)
		sets   []string
	}{
		"nothing has happened": {after: time.Second, sets: both},
		"the session's token was replaced": {
			after: time.Second, then: func(w *world) { w.update(one, replaced) },
		},
		"a moment ago": {after: time.Millisecond, then: func(w *world) { w.update(one, replaced) }, sets: both},
		"the session has ended": {
			after: time.Second, then: func(w *world) { _, _ = w.gateway.Destroy(w.t.Context(), one, ann, nil) },
		},
		"the client has logged in with another": {after: time.Second, then: func(w *world) { w.put(two, loggedIn) }},
		"it has got another without a user":     {after: time.Second, then: func(w *world) { w.put(two, nil) }, sets: both},
		"a removal, and nothing has happened":   {remove: true, after: time.Second, sets: []string{"sid"}},
		"a removal, and the client has logged in": {
			remove: true, after: time.Second, then: func(w *world) { w.put(two, loggedIn) },
		},
		"the store can't tell": {
			after: time.Second, then: func(w *world) { w.store.err = errors.New("down") }, sets: both,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.put(one, nil)
				x := w.browser(one, token(1))
				if c.remove {
					x.EndSession()
				} else {
					x.SetSession(opening.Cookie{Session: credentials.Session{ID: one, Token: token(1)}, Lifetime: time.Hour})
				}
				require.True(t, x.Pending())
				time.Sleep(c.after)
				if c.then != nil {
					c.then(w)
				}
				x.DropOvertaken(t.Context())
				require.Equal(t, c.sets != nil, x.Pending())
				require.Equal(t, c.sets, written(t, x))
				require.False(t, x.Pending())
			})
		})
	}
}

// update changes a session as it is stored.
func (w *world) update(id string, change func(*store.Record)) {
	w.t.Helper()
	rec := w.stored(id)
	change(&rec)
	_, err := w.store.Set(w.t.Context(), rec)
	require.NoError(w.t, err)
}

// A login that doesn't count, because a client has had too many, overtakes no request.
func TestLoginThatDoesNotCount(t *testing.T) {
	for name, nodes := range map[string]bool{"one process": false, "several": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *opening.Config) { cfg.Nodes = nodes })
			var asked [][2]string
			w.overtakes = func(clientID, sessionID string) bool {
				asked = append(asked, [2]string{clientID, sessionID})
				return false
			}
			_, cid := w.cookies(one, token(1), ann)
			x := w.begin(cid)
			w.put(one, loggedIn)
			if nodes { // it was another process
				w.clients.Detach(one)
			}
			require.NoError(t, x.MayCreate(t.Context()))
			require.Equal(t, [][2]string{{ann, one}}, asked)
		})
	}
}
