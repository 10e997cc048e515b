package guarantees_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

func TestG9_FailClosed_OutageIsNeverAnAnonymousSession(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	ws := br.Dial("/ws")
	ws.Ask("id") // it is open on both sides
	st.Always(teststore.Refuse(teststore.ErrOutage), "Get", "Set", "Destroy", "Touch")

	for _, path := range []string{"/get", "/inc", "/logout", "/login?user=ada", "/rotate"} {
		rep := br.Get(path)
		require.Equal(t, http.StatusServiceUnavailable, rep.Status, path)
		require.Empty(t, rep.Header["Set-Cookie"], path)
	}
	require.Equal(t, "plain", br.OK("/plain"), "a page that doesn't ask for the session is served")
	require.Contains(t, ws.Ask("inc"), bridge.ErrStoreUnavailable.Error())
	_, res, err := br.TryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	_, err = a.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorIs(t, err, teststore.ErrOutage)

	st.Heal()
	require.Equal(t, "2", ws.Ask("inc"), "service resumes by itself")
	require.Equal(t, "3", br.OK("/inc"))
	require.Equal(t, id, br.OK("/id"))
}

func TestG9_FailClosed_HandlerThatGivesUpClosesWith1013(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	a.Mux.Handle("/strict", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			if _, err := bridge.WithSession(ctx, c, testkit.Increment, nil); err != nil {
				return err
			}
		}
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/strict")
	st.Always(teststore.Refuse(teststore.ErrOutage), "Get")
	ws.Say("inc")
	require.Equal(t, bridge.CodeUnavailable, ws.Closed())
}

func TestG9_FailClosed_StoreThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		for _, method := range []string{"Get", "Set"} {
			st.Always(teststore.Hang, method)
			start := time.Now()
			require.Equal(t, http.StatusServiceUnavailable, p.Get(t, h, "/inc").Code)
			require.LessOrEqual(t, time.Since(start), 5*time.Second)
			st.Heal()
		}
		st.Always(teststore.Hang, "Destroy")
		require.Equal(t, http.StatusServiceUnavailable, p.Get(t, h, "/logout").Code)
		st.Heal()
		require.Equal(t, "2", p.Get(t, h, "/inc").Body.String())
	})
}

// After a lost reply the client gets an error, the change may be stored, and nothing runs twice.
func TestG9_FailClosed_UnknownOutcomeIsAnErrorAndRunsNothingTwice(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	st.Next(1, "Set", teststore.LoseReply(teststore.ErrOutage))
	require.Equal(t, http.StatusServiceUnavailable, br.Get("/inc").Status)
	require.Equal(t, "2", br.OK("/get"), "once, not twice")
	st.Next(1, "Set", teststore.Refuse(teststore.ErrOutage))
	require.Equal(t, http.StatusServiceUnavailable, br.Get("/inc").Status)
	require.Equal(t, "3", br.OK("/inc"))
}

func TestG9_FailClosed_ExpiryWaitsForTheStoreAndThenGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, testkit.Expiring(0))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/ws")
		ws.Ask("id") // it is open on both sides
		st.Always(teststore.Refuse(teststore.ErrOutage), "Get")
		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, ws.ClosedEventually(), "the session can't be confirmed")
		require.Greater(t, time.Since(start), testkit.Idle+testkit.Touch)
		require.Less(t, time.Since(start), testkit.Idle+testkit.Touch+40*time.Second)
	})
}
