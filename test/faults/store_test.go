package faults_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

var errDisk = errors.New("disk on fire")

// failures are the ways in which a store fails.
var failures = map[string]teststore.Fault{"refuses": teststore.Refuse(errDisk), "loses the reply": teststore.LoseReply(errDisk), "hangs": teststore.Hang}

// A request whose session can't be loaded or stored gets 503: never an anonymous session, never a
// 200 for a change that isn't stored.
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

// useTwice adds the page /used, which opens its session before its WithSession loads it once more.
func useTwice(a *testkit.App) {
	a.Page("/used", func(r *http.Request) (any, error) {
		if _, err := a.Session(r); err != nil {
			return nil, err
		}
		return bridge.WithSession(r.Context(), a.For(r), testkit.Increment, nil)
	})
}

// A store call that doesn't return is given up after StoreTimeout, whichever call of a request it
// is.
func TestHungStoreIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		useTwice(a)
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		for _, c := range []struct {
			method string
			nth    int
		}{{"Get", 1}, {"Get", 2}, {"Set", 1}} {
			st.Next(c.nth, c.method, teststore.Hang)
			begin := time.Now()
			require.Equal(t, http.StatusServiceUnavailable, visitor.Get(t, h, "/used").Code, "%+v", c)
			require.Equal(t, 2*time.Second, time.Since(begin), "%+v", c)
		}
		require.Equal(t, http.StatusOK, visitor.Get(t, h, "/used").Code)
	})
}

// A touch that fails refuses no request; the next use touches again.
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
					synctest.Wait() // the handshake has read the session twice
					st.Next(1, method, failure)
					require.Contains(t, ws.Ask("inc"), bridge.ErrStoreUnavailable.Error())
					want := "2"
					if name == "loses the reply" && method == "Set" {
						want = "3" // the first one may be stored, as the error says; it is never repeated automatically
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
	// At the second read the upgrade has been answered: only a close code can report the failure.
	st.Next(2, "Get", teststore.Refuse(errDisk))
	require.Equal(t, bridge.CodeUnavailable, br.Dial("/ws").Closed())
	st.Heal()
	require.Equal(t, "3", br.Dial("/ws").Ask("inc"))
}

// TestHandshakeDuringAStoreFailureIsClosed with a code and a reason that a script can see, if the
// application wants that. Its handler isn't called, and nothing is registered.
func TestHandshakeDuringAStoreFailureIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{MaxHandshakes: 1})
		o := &bridge.ConnOptions{OnUnavailable: bridge.CloseUnavailable}
		a.Mux.Handle("/socket", a.WebSocket(testkit.Converse, o))
		a.Mux.Handle("/messages", a.Messages(
			func(context.Context, *bridge.Conn, bridge.Message, *bridge.Session) error { return nil }, o))
		opened := testkit.Record[bridge.ConnOpen](t, a.Bridge)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		st.Always(teststore.Refuse(errDisk), "Get")
		for _, path := range []string{"/socket", "/messages"} {
			s, res, err := br.TryDial(path, nil)
			require.NoError(t, err)
			require.Empty(t, res.Cookies())
			_, _, err = s.Conn.Read(t.Context())
			var closed websocket.CloseError
			require.ErrorAs(t, err, &closed)
			require.EqualValues(t, bridge.CodeUnavailable, closed.Code)
			require.Equal(t, "session store unavailable", closed.Reason)
			synctest.Wait()
		}
		status := func(header http.Header) int {
			_, res, err := br.TryDial("/socket", header)
			require.Error(t, err)
			return res.StatusCode
		}
		require.Equal(t, http.StatusForbidden, status(http.Header{"Origin": {"https://evil.example"}}))

		silent, _, err := br.TryDial("/socket", nil) // it doesn't answer the close frame
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, status(nil), "the other one counts towards MaxHandshakes")
		time.Sleep(time.Second)
		synctest.Wait()
		st.Heal()
		require.Equal(t, "2", br.Dial("/socket").Ask("inc"), "it has been cut")
		require.NoError(t, silent.Conn.CloseNow())
		require.Len(t, opened.Rest(), 1)
	})
}

// The connection of a handler that returns the store's error is closed with 1013.
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

func TestStoreTimeoutBoundsWhatHasNoOtherLimit(t *testing.T) {
	for method, call := range map[string]func(context.Context, *bridge.Bridge) error{
		"Sweep": func(ctx context.Context, b *bridge.Bridge) error { _, err := b.Cleanup(ctx); return err },
		"NewestByClient": func(ctx context.Context, b *bridge.Bridge) error {
			_, err := b.GetByClientID(ctx, "11111111-1111-4111-8111-111111111111")
			return err
		},
		"Ping": func(ctx context.Context, b *bridge.Bridge) error { return b.Ping(ctx) },
	} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := teststore.NewFaulty()
				b := testkit.NewBridge(t, st, &bridge.Options{StoreTimeout: 2 * time.Second, AutoCleanup: bridge.Off})
				st.Always(teststore.Hang, method)
				start := time.Now()
				require.ErrorIs(t, call(t.Context(), b), bridge.ErrStoreUnavailable)
				require.Equal(t, 2*time.Second, time.Since(start))
			})
		})
	}
}

func TestAutoCleanupGoesOnAfterAPanicOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		opts := testkit.Expiring(0)
		opts.AutoCleanup = time.Minute
		a := testkit.NewApp(t, st, opts)
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/inc")
		st.Always(func(context.Context, func() error) error { panic("in the store") }, "Sweep")
		time.Sleep(2*testkit.Idle + time.Second)
		require.Equal(t, 20, st.Count("Sweep"))
		require.Empty(t, ended.Rest())
		st.Heal()
		time.Sleep(time.Minute)
		require.Len(t, ended.Rest(), 1)
		require.Zero(t, a.Stats().Attached)
	})
}

// creating records the IDs of the sessions that it was asked to create.
type creating struct {
	*teststore.Faulty
	ids []string
}

func (c *creating) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if rec.Revision == 0 {
		c.ids = append(c.ids, rec.ID)
	}
	return c.Faulty.Set(ctx, rec)
}

// A create with an unknown outcome is never repeated under the same ID: two users could get one
// session.
func TestNothingIsCreatedAgainUnderAnIDWhoseFateIsUnknown(t *testing.T) {
	for name, fail := range map[string]teststore.Fault{"not done": teststore.Refuse(teststore.ErrDiskFull), "done, but the reply lost": teststore.LoseReply(teststore.ErrDiskFull)} {
		t.Run(name, func(t *testing.T) {
			st := &creating{Faulty: teststore.NewFaulty()}
			a := testkit.NewApp(t, st, nil)
			st.Next(1, "Set", fail)
			a.Page("/twice", func(r *http.Request) (any, error) {
				err := a.WithSession(r, testkit.Set("k", 1), nil)
				require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
				return "", a.WithSession(r, testkit.Set("k", 2), nil)
			})
			h := a.Handler(a.Mux)
			visitor := webclient.Pocket{}
			require.Equal(t, http.StatusOK, visitor.Get(t, h, "/twice").Code)
			require.Len(t, st.ids, 2)
			require.NotEqual(t, st.ids[0], st.ids[1])
			require.Equal(t, st.ids[1], visitor.Get(t, h, "/id").Body.String(), "the cookie is of the one that is known to exist")
		})
	}
}

func TestSessionOpenedAfterTheRequestsEndIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		result := make(chan error, 2)
		a.Mux.Handle("/slow", http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for range 2 { // the store answers after the end, and then it is asked after the end
				_, err := a.Session(r)
				result <- err
			}
		}), time.Second, "late"))
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		answer := make(chan struct{})
		st.Next(1, "Get", func(_ context.Context, get func() error) error { defer func() { <-answer }(); return get() })
		require.Equal(t, http.StatusServiceUnavailable, visitor.Get(t, h, "/slow").Code)
		close(answer)
		require.ErrorIs(t, <-result, bridge.ErrSessionClosed)
		require.ErrorIs(t, <-result, bridge.ErrSessionClosed)
	})
}

// If a session is destroyed at any moment of its use, the map of clients keeps nothing of it.
func TestClientMapForgetsASessionThatIsDestroyedWhileInUse(t *testing.T) {
	for _, at := range []string{"Get 1", "Get 2", "Get 3", "Set 1", "Touch 1"} {
		reached := 0
		for _, path := range []string{"/get", "/inc", "/used", "/rotate", "/login?user=ada"} {
			for _, known := range []bool{true, false} { // to the process, which may have been restarted
				for _, after := range []bool{true, false} {
					synctest.Test(t, func(t *testing.T) {
						if destroyWhileInUse(t, path, known, at, after) {
							reached++
						}
					})
				}
			}
		}
		require.GreaterOrEqual(t, reached, 2, at)
	}
}

// destroyWhileInUse requests a page and destroys its session before or after a certain store call.
// It reports whether that call was made.
func destroyWhileInUse(t *testing.T, path string, known bool, at string, after bool) (reached bool) {
	st := teststore.NewFaulty()
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}, AutoCleanup: bridge.Off}
	open := func() *testkit.App {
		a := testkit.NewApp(t, st, opts)
		useTwice(a)
		return a
	}
	a := open()
	visitor := webclient.Pocket{}
	visitor.Get(t, a.Handler(a.Mux), "/inc")
	id := visitor.Get(t, a.Handler(a.Mux), "/id").Body.String()
	if !known {
		a = open()
	}
	time.Sleep(2 * testkit.Touch) // so that the use is touched
	destroyed := make(chan error, 1)
	method, nth, _ := strings.Cut(at, " ")
	st.Next(testkit.Atoi(t, nth), method, func(_ context.Context, call func() error) error {
		destroy := func() {
			go func() { _, err := a.DestroyByID(t.Context(), id); destroyed <- err }()
			synctest.Wait() // done, or waiting for the one that is here
		}
		if !after {
			destroy()
			return call()
		}
		defer destroy()
		return call()
	})
	visitor.Get(t, a.Handler(a.Mux), path)
	synctest.Wait()
	if len(destroyed) == 0 { // this use makes no such call
		return false
	}
	require.NoError(t, <-destroyed)
	_, mapped := a.ClientIDOf(id)
	require.False(t, mapped, "%s, known: %v, destroyed at %s, after: %v", path, known, at, after)
	return true
}

func TestClientMapForgetsSessionsThatAreDestroyedInParallelWithTheirUse(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	for range 300 {
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id := visitor.Get(t, h, "/id").Body.String()
		var using sync.WaitGroup
		for range 2 {
			using.Go(func() { maps.Clone(visitor).Send(h, httptest.NewRequest(http.MethodGet, "/get", nil)) })
		}
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		using.Wait()
	}
	require.Zero(t, a.Stats().Attached)
}

// A browser keeps the cookie for as long as the session lives, even if that is decided later.
func TestCookieFollowsSetLifetime(t *testing.T) {
	const year = 365 * 24 * time.Hour
	a := testkit.NewApp(t, livestore.New(), nil)
	remember := func(_ context.Context, s *bridge.Session) error { s.SetLifetime(year); return nil }
	a.SessionPage("/remember", func(s *bridge.Session) (any, error) { return "", remember(t.Context(), s) })
	a.Page("/rememberinside", func(r *http.Request) (any, error) { return "", a.WithSession(r, remember, nil) })
	for _, path := range []string{"/remember", "/rememberinside"} {
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id := visitor.Get(t, h, "/id").Body.String()
		res := visitor.Get(t, h, path)
		sent := slices.IndexFunc(res.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == "sid" })
		require.GreaterOrEqual(t, sent, 0, "the cookie is sent again")
		require.Equal(t, int(year/time.Second), res.Result().Cookies()[sent].MaxAge)
		require.Equal(t, id, visitor.Get(t, h, "/id").Body.String(), "it opens the same session")
		require.Empty(t, visitor.Get(t, h, path).Result().Cookies(), "nothing has changed")
	}
}
