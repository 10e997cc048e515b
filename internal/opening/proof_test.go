package opening_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/store"
)

func always(*store.Record) bool { return true }
func never(*store.Record) bool  { return false }

func TestIssue(t *testing.T) {
	w := newWorld(t, nil)
	rec := store.Record{ID: one, ClientID: ann, Data: []byte("{}"), Created: gateway.Now(), Lifetime: time.Hour}
	first := opening.Issue(&rec)
	d, err := gateway.NewDraft(rec)
	require.NoError(t, err)
	p := new(opening.Proof)
	w.Issued(p, first, d)
	require.True(t, p.Issues())
	require.NoError(t, p.IsCurrent())
	require.Zero(t, p.Generation())
	d.Set("k", 1)
	c, ok, err := w.commit(p, d)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, opening.Cookie{Session: credentials.Session{ID: one, Token: first}, Lifetime: time.Hour}, c)
	require.EqualValues(t, 1, p.Generation())
	require.False(t, p.Issues())

	d.Set("k", 2)
	_, ok, err = w.commit(p, d)
	require.NoError(t, err)
	require.False(t, ok, "the client has the cookie")
	d.SetLifetime(2 * time.Hour)
	c, ok, err = w.commit(p, d)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, opening.Cookie{Session: credentials.Session{ID: one, Token: first}, Lifetime: 2 * time.Hour}, c,
		"the client keeps it as long as the session lives")
}

// The cookie of a token that isn't current is not set again when its lifetime changes.
func TestLifetimeOfAnOldCookie(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	_, p, d := w.open(w.browser(one, token(1)))
	w.update(one, replaced)
	_, q, e := w.open(w.browser(one, token(1)))
	for proof, draft := range map[*opening.Proof]*gateway.Draft{p: d, q: e} {
		draft.SetLifetime(time.Minute * time.Duration(1+len(w.stored(one).Data)))
		draft.Set("more", len(w.stored(one).Data))
		_, ok, err := w.commit(proof, draft)
		require.NoError(t, err)
		require.False(t, ok)
	}
}

// Of two requests that replace one token, one succeeds.
func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		_, p, d := w.open(w.browser(one, token(1)))
		_, q, e := w.open(w.browser(one, token(1)))
		require.NoError(t, p.Replace(nil))
		require.NoError(t, q.Replace(nil))
		require.True(t, p.Issues())
		c, ok, err := w.commit(p, d)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, c.Token.Hash(), w.stored(one).TokenHash)
		require.EqualValues(t, 2, p.Generation())
		_, _, err = w.commit(q, e)
		require.ErrorIs(t, err, gateway.ErrTokenRotated)

		time.Sleep(time.Second)
		_, p, d = w.open(w.browser(one, token(1)))
		require.ErrorIs(t, p.Replace(nil), gateway.ErrTokenRotated, "the previous token opens the session, and replaces nothing")
		require.ErrorIs(t, p.IsCurrent(), gateway.ErrTokenRotated)
		d.Set("k", 2)
		_, ok, err = w.commit(p, d)
		require.NoError(t, err)
		require.False(t, ok)
		_, p, _ = w.open(w.browser(one, c.Token))
		require.NoError(t, p.Replace(nil))
	})
}

// The same login made twice, by independent requests, leads to the same token.
func TestReplaceByTheSameLoginTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, nil)
	_, p, d := w.open(w.browser(one, token(1)))
	_, q, e := w.open(w.browser(one, token(1)))
	require.NoError(t, p.Replace(&gateway.Login{UserID: "user"}))
	require.NoError(t, p.Replace(nil), "a rotation after the login changes nothing")
	require.NoError(t, q.Replace(&gateway.Login{UserID: "user"}))
	c, _, err := w.commit(p, d)
	require.NoError(t, err)
	again, ok, err := w.commit(q, e)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, c, again)
}

// The holder of a token that a login has replaced can neither read nor change the session until the
// same user logs in again.
func TestLockedSession(t *testing.T) {
	for name, c := range map[string]struct {
		user  string
		opens bool
	}{"the same user": {"user", true}, "another user": {"eve", false}, "nobody: a rotation": {"", false}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.put(one, byLogin)
			_, p, d := w.open(w.browser(one, token(1)))
			require.True(t, p.Locked())
			require.True(t, p.Hidden())
			require.Nil(t, d.Raw("k"))
			require.Empty(t, d.UserID())
			require.True(t, d.LoggedIn().IsZero())

			var login *gateway.Login
			if c.user != "" {
				login = &gateway.Login{UserID: c.user}
			}
			savepoint := d.Savepoint()
			if err := p.Replace(login); !c.opens {
				require.ErrorIs(t, err, gateway.ErrTokenRotated)
				require.True(t, p.Locked())
				require.Nil(t, d.Raw("k"))
				return
			}
			require.False(t, p.Locked())
			require.False(t, p.Hidden())
			require.Equal(t, "1", string(d.Raw("k")))

			p.Restore(d, &savepoint)
			require.True(t, p.Locked(), "a login that is undone locks the session again")
			require.Nil(t, d.Raw("k"))
			require.ErrorIs(t, p.IsCurrent(), gateway.ErrTokenRotated)

			require.NoError(t, p.Replace(login))
			cookie, ok, err := w.commit(p, d)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, w.stored(one).TokenHash, cookie.Token.Hash())
			p.Restore(d, nil)
			require.False(t, p.Locked())
			require.NoError(t, p.IsCurrent())
		})
	}
}

// A login that replaces the token while the session is open locks it.
func TestRebase(t *testing.T) {
	for name, c := range map[string]struct {
		change      func(*store.Record)
		mayTakeOver func(*store.Record) bool
		locked      bool
		err         error
	}{
		"a change":          {func(rec *store.Record) { rec.Data = []byte(`{"k":2}`) }, never, false, nil},
		"a rotation":        {replaced, never, false, nil},
		"a login":           {byLogin, always, true, nil},
		"a login elsewhere": {byLogin, never, false, gateway.ErrTokenRotated},
		"a login, and then a rotation": {func(rec *store.Record) {
			byLogin(rec)
			rec.TokenGeneration, rec.PrevTokenHash, rec.TokenHash = 3, rec.TokenHash, token(3).Hash()
		}, always, false, gateway.ErrTokenRotated},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.put(one, nil)
			_, p, d := w.open(w.browser(one, token(1)))
			w.update(one, c.change)
			require.ErrorIs(t, p.Rebase(d, w.stored(one), c.mayTakeOver), c.err)
			require.Equal(t, c.locked, p.Locked())
			require.Equal(t, c.locked, d.Raw("k") == nil)
			if c.locked {
				w.update(one, func(rec *store.Record) { rec.Data = []byte(`{"k":3}`) })
				require.NoError(t, p.Rebase(d, w.stored(one), never))
				require.True(t, p.Locked())
				require.NoError(t, p.Replace(&gateway.Login{UserID: "user"}))
				require.Equal(t, "3", string(d.Raw("k")), "it opens as it is stored by then")
			}
		})
	}
}

// A Draft without a request has proved no token.
func TestNilProof(t *testing.T) {
	w := newWorld(t, nil)
	d, err := gateway.NewDraft(w.put(one, nil))
	require.NoError(t, err)
	var p *opening.Proof
	require.False(t, p.Locked())
	require.False(t, p.Hidden())
	require.False(t, p.Issues())
	d.Set("k", 2)
	p.Restore(d, nil)
	require.Equal(t, "1", string(d.Raw("k")))
	d.Prove(1)
	w.update(one, byLogin)
	require.ErrorIs(t, p.Rebase(d, w.stored(one), nil), gateway.ErrTokenRotated)
	d.Prove(2)
	require.NoError(t, p.Rebase(d, w.stored(one), nil))
}
