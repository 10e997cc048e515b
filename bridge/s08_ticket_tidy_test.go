package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Whoever has a session can ask for tickets: what is kept of them is bounded by their lifetime, not by the cleanup of sessions.
func TestS08_TicketsThatNobodyRedeemsDontPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		kept := st.App("sessionbridge.tickets").(*livestore.Store)
		a := ticketApp(t, st, &bridge.Options{AutoCleanup: bridge.Off, TicketLifetime: time.Minute})
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		planned := a.Deadlines()
		for range 100 {
			for range 10 {
				p.get(t, h, "/ticket")
			}
			require.LessOrEqual(t, storedCount(t, kept), 130)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Zero(t, storedCount(t, kept))
		require.Equal(t, planned, a.Deadlines(), "nothing is left to be done")
		p.get(t, h, "/ticket")
		require.Equal(t, 1, storedCount(t, kept))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		require.Zero(t, storedCount(t, kept))
	})
}
