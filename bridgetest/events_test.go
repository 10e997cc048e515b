package bridgetest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

func TestEvents(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		all, ends := bridgetest.Events[bridge.Event](t, b), bridgetest.Events[bridge.SessionDestroy](t, b)
		c := bridgetest.NewClient(t, b, shop(b))
		c.PostForm("/add", nil).Expect(http.StatusOK)
		id := c.SessionID()
		c.LogIn("ada")
		c.PostForm("/out", nil).Expect(http.StatusOK)
		end := ends.WaitFor(func(e bridge.SessionDestroy) bool { return e.SessionID == id })
		require.Equal(t, bridge.ReasonLogout, end.Reason)
		require.IsType(t, bridge.SessionSet{}, all.Next())
		all.WaitFor(func(e bridge.Event) bool { _, ok := e.(bridge.SessionDestroy); return ok })
		require.Empty(t, ends.Rest())
	})
}

func TestEventThatDoesntHappenFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures, _ := fails(t, func(t testing.TB) {
			b := bridgetest.New(t, nil)
			ends := bridgetest.Events[bridge.SessionDestroy](t, b)
			bridgetest.NewClient(t, b, shop(b)).LogIn("ada")
			ends.Next()
		})
		require.Contains(t, failures, "no such bridge.SessionDestroy within 1m0s; others were:\n\tbridge.SessionSet{")
		failures, _ = fails(t, func(t testing.TB) {
			b := bridgetest.New(t, nil)
			ends := bridgetest.Events[bridge.Event](t, b)
			require.NoError(t, b.Shutdown(t.Context()))
			require.Empty(t, ends.Rest())
			ends.Next()
		})
		require.Contains(t, failures, "the Bridge was shut down before such a bridge.Event; there were no others")
	})
}

// Expiry is on time: the socket is closed when the session's time is over, not before.
func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridgetest.New(t, &bridge.Options{IdleTimeout: time.Hour})
		c := bridgetest.NewClient(t, b, shop(b))
		c.LogIn("ada")
		conn := c.Dial("/ws", nil)
		bridgetest.Advance(time.Hour)
		conn.Write("still here")
		require.NotEmpty(t, conn.Read())
		began := time.Now()
		bridgetest.Advance(time.Hour + 2*time.Minute)
		require.Equal(t, time.Hour+2*time.Minute, time.Since(began))
		conn.ExpectClose(bridge.CodeExpired)
		require.Empty(t, look(c).User)
	})
}

func TestAdvanceNeedsABubble(t *testing.T) {
	require.Panics(t, func() { bridgetest.Advance(time.Hour) })
	synctest.Test(t, func(t *testing.T) {
		require.PanicsWithValue(t, "bridgetest: Advance: -1s is negative: time moves forward only",
			func() { bridgetest.Advance(-time.Second) })
	})
}
