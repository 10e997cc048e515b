package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

var errDisk = errors.New("disk on fire")

// failures are the ways in which a store fails.
var failures = map[string]teststore.Fault{"refuses": teststore.Refuse(errDisk), "loses the reply": teststore.LoseReply(errDisk), "hangs": teststore.Hang}

// A request whose session can't be had or stored gets 503: never an anonymous session, never a 200
// for what is not stored.
func TestStoreFailureIs503AndServiceResumes(t *testing.T) {
	for name, failure := range failures {
		for path, methods := range map[string][]string{
			"/inc":            {"Get", "Set"},
			"/get":            {"Get"},
			"/rotate":         {"Get", "Set"},
			"/login?user=ada": {"Get", "Set"},
			"/logout":         {"Get", "Destroy"},
		} {
			for _, method := range methods {
				t.Run(name+" at "+method+" of "+path, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						st := teststore.NewFaulty()
						a := testkit.NewApp(t, st, nil)
						h := a.Handler(a.Mux)
						visitor := webclient.Pocket{}
						visitor.Get(t, h, "/inc")
						id := visitor.Get(t, h, "/id").Body.String()
						cookie := visitor["sid"]
						st.Next(1, method, failure)
						w := visitor.Get(t, h, path)
						if name == "loses the reply" && (path == "/rotate" || path == "/login?user=ada") && method == "Set" {
							require.Equal(t, http.StatusOK, w.Code, "the new token turns out to be stored: the browser gets it")
							require.NotEqual(t, cookie, visitor["sid"])
							require.Equal(t, id, visitor.Get(t, h, "/id").Body.String())
							return
						}
						require.Equal(t, http.StatusServiceUnavailable, w.Code)
						require.Equal(t, cookie, visitor["sid"], "no cookie for what isn't known to be stored")
						require.Positive(t, a.Stats().StoreErrors)
						if name == "loses the reply" && method == "Destroy" {
							return // it may have happened
						}
						require.Equal(t, id, visitor.Get(t, h, "/id").Body.String(), "service resumes by itself, with the same session")
					})
				})
			}
		}
	}
}

// A call to the store that doesn't return is given up after StoreTimeout, at each of the calls that
// a request makes.
func TestHungStoreIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		for _, c := range []struct {
			method string
			nth    int
		}{{"Get", 1}, {"Get", 2}, {"Set", 1}} {
			st.Next(c.nth, c.method, teststore.Hang)
			begin := time.Now()
			require.Equal(t, http.StatusServiceUnavailable, visitor.Get(t, h, "/inc").Code, "%+v", c)
			require.Equal(t, 2*time.Second, time.Since(begin), "%+v", c)
		}
		require.Equal(t, http.StatusOK, visitor.Get(t, h, "/inc").Code)
	})
}

// A touch that fails is no reason to turn anybody away; it is made up for at the next use.
func TestFailedTouchHurtsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{IdleTimeout: time.Hour})
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		time.Sleep(50 * time.Minute)
		st.Next(1, "Touch", teststore.Refuse(errDisk))
		require.Equal(t, "1", visitor.Get(t, h, "/get").Body.String())
		require.EqualValues(t, 1, a.Stats().StoreErrors)
		require.Equal(t, "1", visitor.Get(t, h, "/get").Body.String())
		require.Equal(t, 2, st.Count("Touch"), "tried again at once")
		time.Sleep(50 * time.Minute)
		require.Equal(t, "1", visitor.Get(t, h, "/get").Body.String())
	})
}

func TestStoreFailureOnAConnection(t *testing.T) {
	for name, failure := range failures {
		for _, method := range []string{"Get", "Set"} {
			t.Run(name+" at "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := teststore.NewFaulty()
					a := testkit.NewApp(t, st, nil)
					br := webclient.NewBrowser(t, a.ServeInMemory(t))
					br.OK("/inc")
					ws := br.Dial("/ws")
					synctest.Wait() // the handshake has looked at the session twice
					st.Next(1, method, failure)
					require.Contains(t, ws.Ask("inc"), bridge.ErrStoreUnavailable.Error())
					want := "2"
					if name == "loses the reply" && method == "Set" {
						want = "3" // the first one may be stored, as the error says; it is never run again by itself
					}
					require.Equal(t, want, ws.Ask("inc"), "the connection goes on, on the same session")
				})
			})
		}
	}
}

func TestHandshakeDuringAStoreFailureIs503(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	st.Always(teststore.Refuse(errDisk), "Get")
	_, res, err := br.TryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	st.Heal()
	require.Equal(t, "2", br.Dial("/ws").Ask("inc"))
	// At the second look the upgrade has been answered: there is only a close code to say it with.
	st.Next(2, "Get", teststore.Refuse(errDisk))
	require.Equal(t, bridge.CodeUnavailable, br.Dial("/ws").Closed())
	st.Heal()
	require.Equal(t, "3", br.Dial("/ws").Ask("inc"))
}

// A handler that gives up because of the store is closed with 1013: come back later.
func TestHandlerThatEndsWithTheStoresErrorCloses1013(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	a.Mux.Handle("/once", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if err := c.Write(ctx, websocket.MessageText, []byte("ready")); err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		_, err := bridge.WithSession(ctx, c, testkit.Increment, nil)
		return err
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/once")
	require.Equal(t, "ready", ws.Hear())
	st.Always(teststore.Refuse(errDisk), "Get")
	ws.Say("go")
	require.Equal(t, bridge.CodeUnavailable, ws.Closed())
}

func TestByIDCallsReportAStoreFailure(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	visitor := webclient.Pocket{}
	h := a.Handler(a.Mux)
	visitor.Get(t, h, "/inc")
	id := visitor.Get(t, h, "/id").Body.String()
	client, _ := a.ClientIDOf(id)
	st.Always(teststore.Refuse(errDisk), "Get", "Set", "Destroy", "Sweep", "NewestByClient", "Ping")
	ctx := t.Context()
	_, getErr := a.GetByID(ctx, id)
	_, clientErr := a.GetByClientID(ctx, client)
	_, unknownErr := a.GetByClientID(ctx, "somebody")
	_, destroyErr := a.DestroyByID(ctx, id)
	_, otherErr := a.DestroyByID(ctx, "unknown")
	_, cleanupErr := a.Cleanup(ctx)
	for name, err := range map[string]error{
		"GetByID": getErr, "GetByClientID": clientErr, "GetByClientID of another": unknownErr, "DestroyByID": destroyErr, "DestroyByID of another": otherErr,
		"UpdateByID": a.Update(t, id, func(s *bridge.Session) { s.Set("k", 1) }),
		"SetByID":    a.SetByID(ctx, id, nil, 0),
		"Cleanup":    cleanupErr,
		"Ping":       a.Ping(ctx),
	} {
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable, name)
		require.ErrorIs(t, err, errDisk, name)
		require.Equal(t, http.StatusServiceUnavailable, bridge.HTTPStatus(err), name)
	}
	st.Heal()
	require.Equal(t, "2", visitor.Get(t, h, "/inc").Body.String())
	require.NoError(t, a.Ping(ctx))
}
