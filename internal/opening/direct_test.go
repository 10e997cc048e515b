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

// A caller presents token 1 without a request, and says which session and client it is of.
func TestTokenWithoutARequest(t *testing.T) {
	for name, c := range map[string]struct {
		record          func(*store.Record)
		after           time.Duration
		session, client string
		strict, forged  bool

		standing opening.Standing
		reason   opening.Reason
	}{
		"alone":                                   {standing: opening.Current},
		"with its session and client":             {session: one, client: ann, strict: true, standing: opening.Current},
		"of another session":                      {session: two, forged: true},
		"with another client":                     {client: bob, standing: opening.Current},
		"with another client, if Strict":          {client: bob, strict: true, reason: opening.ForeignClient},
		"without a client, if Strict":             {strict: true, standing: opening.Current},
		"the previous one, in its grace period":   {record: replaced, after: 9 * time.Second, standing: opening.Previous},
		"the previous one, after it":              {record: replaced, after: 10 * time.Second, reason: opening.OtherToken},
		"one that a login has replaced":           {record: byLogin, after: time.Second, standing: opening.Replaced},
		"one that a login has replaced, for long": {record: byLogin, after: time.Minute, reason: opening.ReplacedByLogin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(cfg *opening.Config) { cfg.Strict = c.strict })
				w.put(one, c.record)
				text, err := w.codec.Token(credentials.Session{ID: one, Token: token(1)}, true)
				require.NoError(t, err)
				time.Sleep(c.after)
				var x opening.Exchange
				require.Equal(t, !c.forged, w.BeginToken(&x, text, c.session, c.client))
				if c.forged {
					return
				}
				o, err := x.Open(t.Context(), false, nil)
				require.NoError(t, err)
				require.Equal(t, c.standing, o.Standing)
				require.Equal(t, c.reason, o.Rejection.Reason)
				require.Equal(t, c.client == bob, len(w.mismatched) == 1)
				require.Equal(t, c.standing != opening.None && c.standing != opening.Replaced, w.direct)
				if is, _ := x.Client(); c.standing != opening.None {
					require.Equal(t, ann, is)
				}
			})
		})
	}
}

// A caller that names another client isn't the browser whose login may have been lost.
func TestReplacedTokenOfAnotherClientWithoutARequest(t *testing.T) {
	w := newWorld(t, nil)
	w.put(one, byLogin)
	text, err := w.codec.Token(credentials.Session{ID: one, Token: token(1)}, false)
	require.NoError(t, err)
	var x opening.Exchange
	require.True(t, w.BeginToken(&x, text, "", bob))
	_, err = x.Open(t.Context(), false, nil)
	require.ErrorIs(t, err, gateway.ErrTokenRotated)
}
