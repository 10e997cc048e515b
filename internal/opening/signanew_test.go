package opening_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/store"
)

// rotateKeys puts another key in front of the one that has signed so far.
func (w *world) rotateKeys() {
	w.SetKeys([][]byte{bytes.Repeat([]byte("n"), 32), bytes.Repeat([]byte("k"), 32)})
}

// The response brings the same token, signed with the first key, once.
func TestSignAnew(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, func(rec *store.Record) { rec.Lifetime = time.Hour })
	old := pair(w.cookies(one, token(1), ann))
	x := w.begin(old...)
	_, p, _ := w.open(x)
	_, ok := x.SignAnew(t.Context(), p)
	require.False(t, ok, "the only key has signed it")

	w.rotateKeys()
	x = w.begin(old...)
	_, p, _ = w.open(x)
	before := w.stored(one)
	c, ok := x.SignAnew(t.Context(), p)
	require.True(t, ok)
	require.Equal(t, opening.Cookie{
		Session: credentials.Session{ID: one, Token: token(1)}, Lifetime: time.Hour,
	}, c)
	require.Equal(t, before, w.stored(one), "nothing is stored")
	_, ok = x.SignAnew(t.Context(), p)
	require.False(t, ok)
}

// A response that sets a cookie for another reason has signed it with the first key already.
func TestSignAnewAfterAnotherCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		old := pair(w.cookies(one, token(1), ann))
		w.rotateKeys()
		x := w.begin(old...)
		_, p, d := w.open(x)
		d.SetLifetime(2 * time.Hour)
		_, ok, err := w.commit(p, d)
		require.NoError(t, err)
		require.True(t, ok)
		_, ok = x.SignAnew(t.Context(), p)
		require.False(t, ok)

		time.Sleep(grace.Renew)
		x = w.begin(old...)
		_, p, _ = w.open(x)
		_, ok = renewed(t, p)
		require.True(t, ok)
		_, ok = x.SignAnew(t.Context(), p)
		require.False(t, ok)
	})
}

// The browser has, or gets, a newer credential, or the store can't tell whether it does.
func TestSignsNothingAnewThatIsOutdated(t *testing.T) {
	for name, happen := range map[string]func(w *world){
		"a login":        func(w *world) { w.change(one, byLogin) },
		"a rotation":     func(w *world) { w.change(one, replaced) },
		"its end":        func(w *world) { _, _ = w.gateway.Destroy(w.t.Context(), one, ann, nil) },
		"another login":  func(w *world) { w.put(two, byLogin) },
		"a broken store": func(w *world) { w.store.err = errors.New("broken") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.put(one, nil)
				old := pair(w.cookies(one, token(1), ann))
				w.rotateKeys()
				x := w.begin(old...)
				_, p, _ := w.open(x)
				time.Sleep(time.Second)
				happen(w)
				_, ok := x.SignAnew(t.Context(), p)
				require.False(t, ok)
			})
		})
	}
}

// A previous token is not signed anew: another response has brought the current one.
func TestSignsNoPreviousTokenAnew(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, replaced)
	old := pair(w.cookies(one, token(1), ann))
	w.rotateKeys()
	x := w.begin(old...)
	o, p, _ := w.open(x)
	require.Equal(t, opening.Previous, o.Standing)
	_, ok := x.SignAnew(t.Context(), p)
	require.False(t, ok)
}

// A session that was opened in place of one with a newer token on its way leaves the cookie.
func TestSignsNothingAnewThatWasPassedTo(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	w.put(two, byLogin)
	first, _ := w.cookies(one, token(1), ann)
	second, cid := w.cookies(two, token(1), ann)
	w.rotateKeys()
	x := w.begin(first, second, cid)
	o, p, _ := w.open(x)
	require.True(t, o.PassedOver)
	_, ok := x.SignAnew(t.Context(), p)
	require.False(t, ok)
}

// Two nodes have the same keys in another order. The same login on both at once leads to one token.
func TestLoginUnderKeysInAnotherOrder(t *testing.T) {
	k, n := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 32)
	here := newWorld(t, nil)
	here.put(one, nil)
	there := newWorld(t, func(cfg *opening.Config) { cfg.Gateway = here.gateway })
	there.gateway = here.gateway
	cookies := pair(here.cookies(one, token(1), ann))
	here.SetKeys([][]byte{k, n})
	there.SetKeys([][]byte{n, k})
	_, p, d := here.open(here.begin(cookies...))
	_, q, e := there.open(there.begin(cookies...))
	require.NoError(t, p.Replace(&gateway.Login{UserID: "ada"}))
	require.NoError(t, q.Replace(&gateway.Login{UserID: "ada"}))
	first, ok, err := here.commit(p, d)
	require.NoError(t, err)
	require.True(t, ok)
	there.SetKeys([][]byte{n}) // even if the key is gone by then
	second, ok, err := there.commit(q, e)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, first, second)
	require.Equal(t, first.Token.Hash(), here.stored(one).TokenHash)
}

// change changes the session in the store.
func (w *world) change(id string, change func(*store.Record)) {
	w.t.Helper()
	rec := w.stored(id)
	change(&rec)
	_, err := w.store.Set(w.t.Context(), rec)
	require.NoError(w.t, err)
}
