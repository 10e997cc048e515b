package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestAForgottenSessionGoesOn: that this process remembers it no longer ends nothing; its next use
// attaches it again.
func TestAForgottenSessionGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxKnownSessions: 10})
		h := b.Handler(testkit.NewMux(b))
		ada := webclient.Pocket{}
		ada.Get(t, h, "/inc")
		id := ada.Get(t, h, "/id").Body.String()
		client, known := b.ClientIDOf(id)
		require.True(t, known)
		for range 40 {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		require.LessOrEqual(t, b.Stats().Attached, 10)
		_, known = b.ClientIDOf(id)
		require.False(t, known)

		sets := testkit.Record[bridge.SessionSet](t, b)
		require.Equal(t, "2", ada.Get(t, h, "/inc").Body.String())
		attached := sets.Next()
		require.True(t, attached.IsInit)
		require.False(t, attached.IsNew)
		of, known := b.SessionIDOf(client)
		require.True(t, known)
		require.Equal(t, id, of)

		for range 40 {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		ends := testkit.Record[bridge.SessionDestroy](t, b)
		was, err := b.DestroyByClientID(t.Context(), client)
		require.NoError(t, err)
		require.True(t, was)
		require.Equal(t, bridge.SessionDestroy{ClientID: client, SessionID: id, Reason: bridge.ReasonDestroyed, Via: bridge.ViaAPI}, ends.Next())
	})
}

// TestAForgottenSessionExpiresOnTime: what it has of timers is its connections', and those keep it
// known.
func TestAForgottenSessionExpiresOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxKnownSessions: 10, IdleTimeout: time.Hour})
		h := b.Handler(testkit.NewMux(b))
		br := webclient.NewBrowser(t, webclient.ServeInMemory(t, h))
		br.OK("/inc")
		id := br.OK("/id")
		closed := br.Dial("/ws").WhenClosed()
		synctest.Wait()
		for range 100 {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		_, known := b.ClientIDOf(id)
		require.True(t, known, "it has a connection")
		require.Equal(t, bridge.CodeExpired, <-closed)
	})
}

// TestRebindFollow_AClientThatThisProcessHasForgotten: its socket finds the session all the same,
// as the store knows it.
func TestRebindFollow_AClientThatThisProcessHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxKnownSessions: 10, Rebind: bridge.Follow})
		h := b.Handler(testkit.NewMux(b))
		br := webclient.NewBrowser(t, webclient.ServeInMemory(t, h))
		br.OK("/inc")
		id := br.OK("/id")
		for range 40 {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		follower := webclient.NewBrowser(t, webclient.ServeInMemory(t, h))
		follower.SetCookie("sid.cid", br.Cookie("sid.cid"))
		require.Equal(t, `"`+id+`"`, follower.Dial("/ws").Ask("id"))
	})
}
