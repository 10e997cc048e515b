package opening_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
)

func renewed(t *testing.T, p *opening.Proof) (opening.Cookie, bool) {
	t.Helper()
	c, ok, err := p.Renew(t.Context(), false, nil)
	require.NoError(t, err)
	return c, ok
}

// Of two requests with an old token one renews it. Its response sets the new one, and the changes
// of the other request are stored as well.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		time.Sleep(grace.Renew - time.Second)
		_, p, _ := w.open(w.browser(one, token(1)))
		_, ok := renewed(t, p)
		require.False(t, ok, "the token isn't old enough")

		time.Sleep(time.Second)
		_, p, d := w.open(w.browser(one, token(1)))
		_, q, e := w.open(w.browser(one, token(1)))
		c, ok := renewed(t, p)
		require.True(t, ok)
		require.Equal(t, c.Token.Hash(), w.stored(one).TokenHash)
		require.EqualValues(t, 2, p.Generation())
		require.Equal(t, w.stored(one).Revision, d.Base().Revision)
		_, ok = renewed(t, p)
		require.False(t, ok)
		_, ok = renewed(t, q)
		require.False(t, ok, "another response sets it")
		e.Set("k", 2)
		_, ok, err := w.commit(q, e)
		require.NoError(t, err)
		require.False(t, ok)
	})
}

// The response with the new token was lost: it is sent again, the same one, and the previous token
// is valid until then.
func TestRenewAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		time.Sleep(grace.Renew)
		_, p, _ := w.open(w.browser(one, token(1)))
		c, _ := renewed(t, p)

		time.Sleep(grace.Rotate - time.Millisecond)
		_, p, _ = w.open(w.browser(one, token(1)))
		_, ok := renewed(t, p)
		require.False(t, ok, "the response may be under way")
		time.Sleep(time.Millisecond)
		o, p, _ := w.open(w.browser(one, token(1)))
		require.Equal(t, opening.Lost, o.Standing)
		again, ok := renewed(t, p)
		require.True(t, ok)
		require.Equal(t, c, again)
		o, _, _ = w.open(w.browser(one, c.Token))
		require.Equal(t, opening.Current, o.Standing)
	})
}

// A response that was late has replaced the new token by the previous one: the next response sets
// the new one again, and stores nothing.
func TestRenewAfterALateResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		time.Sleep(grace.Renew)
		_, p, _ := w.open(w.browser(one, token(1)))
		c, _ := renewed(t, p)
		_, _, _ = w.open(w.browser(one, c.Token)) // the browser has it
		time.Sleep(grace.Rotate)
		o, p, _ := w.open(w.browser(one, token(1)))
		require.Equal(t, opening.Late, o.Standing)
		before := w.stored(one).Revision
		again, ok := renewed(t, p)
		require.True(t, ok)
		require.Equal(t, c, again)
		require.Equal(t, before, w.stored(one).Revision)
	})
}

// A token isn't renewed if renewal is off, if another session's newer token is on its way, or if
// the session has ended.
func TestRenewsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := newWorld(t, func(cfg *opening.Config) { cfg.Grace.Renew = 0 })
		off.put(one, nil)
		w := newWorld(t, nil)
		w.put(one, nil)
		time.Sleep(grace.Renew)
		_, p, _ := off.open(off.browser(one, token(1)))
		_, ok := renewed(t, p)
		require.False(t, ok)

		w.put(two, byLogin)
		second, cid := w.cookies(two, token(1), ann)
		first, _ := w.cookies(one, token(1), ann)
		o, p, _ := w.open(w.begin(first, second, cid))
		require.Equal(t, one, o.Record.ID)
		require.True(t, o.PassedOver)
		_, ok = renewed(t, p)
		require.False(t, ok)

		_, p, d := w.open(w.browser(one, token(1)))
		_, err := w.gateway.Destroy(t.Context(), one, ann, nil)
		require.NoError(t, err)
		_, ok = renewed(t, p)
		require.False(t, ok, "the session has ended")
		require.Equal(t, one, d.Base().ID)
	})
}

// A renewal within the grace period of another token would end that period.
func TestRenewalWaitsForTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(cfg *opening.Config) { cfg.Grace.Renew = grace.Rotate / 2 })
		w.put(one, byLogin)
		for _, renews := range []bool{false, true} {
			time.Sleep(grace.Rotate / 2)
			_, p, _ := w.open(w.browser(one, token(2)))
			_, ok := renewed(t, p)
			require.Equal(t, renews, ok)
		}
	})
}

// A function that runs on the Draft keeps the state that it has read.
func TestRenewKeepsTheBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		time.Sleep(grace.Renew)
		_, p, d := w.open(w.browser(one, token(1)))
		_, q, e := w.open(w.browser(one, token(1)))
		e.Set("k", 2)
		_, _, err := w.commit(q, e)
		require.NoError(t, err)
		before := d.Base().Revision
		c, ok, err := p.Renew(t.Context(), true, nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, before, d.Base().Revision)
		require.Equal(t, credentials.Session{ID: one, Token: c.Token}, c.Session)
		require.Equal(t, "2", string(w.draft(one).Raw("k")), "the changes of others stay")
	})
}

func (w *world) draft(id string) *gateway.Draft {
	w.t.Helper()
	d, err := gateway.NewDraft(w.stored(id))
	require.NoError(w.t, err)
	return d
}

func TestRenewWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.put(one, nil)
		time.Sleep(grace.Renew)
		_, p, _ := w.open(w.browser(one, token(1)))
		w.store.err = errors.New("down")
		_, ok, err := p.Renew(t.Context(), false, nil)
		require.ErrorIs(t, err, gateway.ErrUnavailable)
		require.False(t, ok)
		require.NoError(t, p.IsCurrent())
		w.store.err = nil
		_, ok = renewed(t, p)
		require.True(t, ok)
	})
}
