package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

var errOutage = errors.New("connection refused")

func TestG9_FailClosed_OutageIsNeverAnAnonymousSession(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	ws := br.dial("/ws")
	ws.ask("id") // it is open on both sides
	st.always(refuse(errOutage), "Get", "Set", "Destroy", "Touch")

	for _, path := range []string{"/get", "/inc", "/logout", "/login?user=ada", "/rotate"} {
		rep := br.get(path)
		require.Equal(t, http.StatusServiceUnavailable, rep.status, path)
		require.Empty(t, rep.header["Set-Cookie"], path)
	}
	require.Equal(t, "plain", br.ok("/plain"), "a page that doesn't ask for the session is served")
	require.Contains(t, ws.ask("inc"), bridge.ErrStoreUnavailable.Error())
	_, res, err := br.tryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	_, err = a.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorIs(t, err, errOutage)

	st.heal()
	require.Equal(t, "2", ws.ask("inc"), "service resumes by itself")
	require.Equal(t, "3", br.ok("/inc"))
	require.Equal(t, id, br.ok("/id"))
}

func TestG9_FailClosed_HandlerThatGivesUpClosesWith1013(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	a.mux.Handle("/strict", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			if _, err := bridge.WithSession(ctx, c, increment, nil); err != nil {
				return err
			}
		}
	}, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	ws := br.dial("/strict")
	st.always(refuse(errOutage), "Get")
	ws.say("inc")
	require.Equal(t, bridge.CodeUnavailable, ws.closed())
}

func TestG9_FailClosed_StoreThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		for _, method := range []string{"Get", "Set"} {
			st.always(hang, method)
			start := time.Now()
			require.Equal(t, http.StatusServiceUnavailable, p.get(t, h, "/inc").Code)
			require.LessOrEqual(t, time.Since(start), 5*time.Second)
			st.heal()
		}
		st.always(hang, "Destroy")
		require.Equal(t, http.StatusServiceUnavailable, p.get(t, h, "/logout").Code)
		st.heal()
		require.Equal(t, "2", p.get(t, h, "/inc").Body.String())
	})
}

// A reply that got lost: the client is told that it failed, the change is in the store or not, and nothing is done twice.
func TestG9_FailClosed_UnknownOutcomeIsAnErrorAndRunsNothingTwice(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	st.next(1, "Set", loseReply(errOutage))
	require.Equal(t, http.StatusServiceUnavailable, br.get("/inc").status)
	require.Equal(t, "2", br.ok("/get"), "once, not twice")
	st.next(1, "Set", refuse(errOutage))
	require.Equal(t, http.StatusServiceUnavailable, br.get("/inc").status)
	require.Equal(t, "3", br.ok("/inc"))
}

func TestG9_FailClosed_ExpiryWaitsForTheStoreAndThenGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, expiring(0))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/ws")
		ws.ask("id") // it is open on both sides
		st.always(refuse(errOutage), "Get")
		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, ws.closedEventually(), "nobody can say whether the session lives")
		require.Greater(t, time.Since(start), idle+touch)
		require.Less(t, time.Since(start), idle+touch+40*time.Second)
	})
}
