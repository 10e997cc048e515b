package opening_test

import (
	"cmp"
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

// Peek opens what Open opens, and leaves no trace: not in the store, in the response, nor in what
// the Opener reports.
func TestPeek(t *testing.T) {
	for name, c := range map[string]struct {
		record func(*store.Record)
		client string
		strict bool

		standing opening.Standing
		reason   opening.Reason
	}{
		"the current token": {standing: opening.Current},
		"the current token, after a rotation": {
			record: func(rec *store.Record) {
				rec.PrevTokenHash, rec.TokenGeneration, rec.RotatedAt = token(7).Hash(), 2, gateway.Now()
			},
			standing: opening.Current,
		},
		"the previous token":                {record: replaced, reason: opening.OtherToken},
		"a token that a login has replaced": {record: byLogin, reason: opening.ReplacedByLogin},
		"one that was replaced long before the last login": {
			record: func(rec *store.Record) {
				byLogin(rec)
				rec.PrevTokenHash, rec.LoggedIn = token(7).Hash(), rec.LoggedIn.Add(time.Second)
			},
			reason: opening.ReplacedByLogin,
		},
		"one that was rotated since the last login": {
			record: func(rec *store.Record) { byLogin(rec); rec.TokenGeneration = 3 }, reason: opening.OtherToken,
		},
		"a session past its time": {
			record: func(rec *store.Record) { rec.Expires = gateway.Now().Add(time.Second) }, reason: opening.Expired,
		},
		"another client's":                       {client: bob, standing: opening.Current},
		"another client's, with a strict Bridge": {client: bob, strict: true, reason: opening.ForeignClient},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(cfg *opening.Config) { cfg.Strict = c.strict })
				put := w.put(one, c.record)
				cookies := pair(w.cookies(one, token(1), cmp.Or(c.client, ann)))
				time.Sleep(5 * time.Minute) // a touch is due
				x := w.begin(cookies...)
				client, _ := x.Client()
				o, err := x.Peek(t.Context())
				require.NoError(t, err)
				require.Equal(t, c.standing, o.Standing)
				require.Equal(t, c.reason, o.Rejection.Reason)
				if c.reason != opening.Expired {
					require.Equal(t, put, w.stored(one))
				}
				h := make(http.Header)
				_, err = x.WriteTo(h, credentials.Response{Request: plain(), Asked: true})
				require.NoError(t, err)
				require.Equal(t, http.Header{"Vary": {"Cookie", "X-Token"}}, h, "nothing but Vary")
				now, _ := x.Client()
				require.Equal(t, client, now)
				require.False(t, x.Mismatched())
				require.False(t, x.Outrun())
				require.Empty(t, w.mismatched)
				require.Empty(t, w.missing)
			})
		})
	}
}

func TestPeekWithoutASession(t *testing.T) {
	w := newWorld(t, nil)
	o, err := w.begin().Peek(t.Context())
	require.NoError(t, err)
	require.Nil(t, o)
	o, err = w.browser(one, token(1)).Peek(t.Context())
	require.NoError(t, err)
	require.Equal(t, opening.Rejection{Reason: opening.NoSession, SessionID: one}, o.Rejection)

	w.put(one, nil)
	x := w.browser(one, token(1))
	w.update(one, byLogin)
	_, err = x.Peek(t.Context())
	require.ErrorIs(t, err, gateway.ErrTokenRotated, "within the grace period")
}
