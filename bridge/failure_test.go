package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// failing is an application in a bubble whose store can fail, with its log and its failures.
type failing struct {
	*testkit.App
	st       *teststore.Faulty
	site     *webclient.Site
	br       *webclient.Browser
	id       string // of the browser's session
	log      *bytes.Buffer
	failures *testkit.Recorder[bridge.Failure]
}

func newFailing(t *testing.T) *failing {
	t.Helper()
	f := &failing{st: teststore.NewFaulty(), log: &bytes.Buffer{}}
	opts := testkit.Expiring(0)
	opts.Keys, opts.Logger = [][]byte{testkit.Key()}, slog.New(slog.NewJSONHandler(f.log, nil))
	opts.MaxSessionsPerUser = 1
	f.App = testkit.NewApp(t, f.st, opts)
	f.failures = testkit.Record[bridge.Failure](t, f.Bridge)
	f.SessionPage("/value", func(s *bridge.Session) (any, error) { s.Set("k", testkit.Confidential); return "set", nil })
	f.Mux.Handle("/fails", f.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		_, _, _ = c.Read(ctx)
		return errors.New("the handler has failed")
	}, nil))
	f.Mux.Handle("/held", f.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		_, _, err := c.Read(ctx)
		s.Set("k", testkit.Confidential)
		return err
	}, nil))
	f.site = f.ServeInMemory(t)
	f.br = webclient.NewBrowser(t, f.site)
	f.br.OK("/inc")
	f.id = f.br.OK("/id")
	return f
}

// logged returns the failures that the log tells of: what the Bridge could not do.
func (f *failing) logged(t *testing.T) (doing []string) {
	t.Helper()
	for line := range bytes.Lines(f.log.Bytes()) {
		var entry struct {
			Level, Msg, Doing, Error string
		}
		require.NoError(t, json.Unmarshal(line, &entry))
		if entry.Msg == "failed" {
			require.Contains(t, []string{"WARN", "ERROR"}, entry.Level)
			require.NotEmpty(t, entry.Error)
			doing = append(doing, entry.Doing)
		}
	}
	return doing
}

func TestFailuresThatNobodyIsToldOfAreEvents(t *testing.T) {
	down := errors.New("the store is down")
	for name, c := range map[string]struct {
		fail    func(t *testing.T, f *failing)
		doing   string // what one of the failures says
		about   bool   // the browser's session
		because error
	}{
		"activity over HTTP": {func(t *testing.T, f *failing) {
			time.Sleep(2 * testkit.Touch)
			f.st.Next(1, "Touch", teststore.Refuse(down))
			f.br.OK("/get")
		}, "record a session's activity", true, down},
		"activity on a socket": {func(t *testing.T, f *failing) {
			ws := f.br.Dial("/held").Listen()
			time.Sleep(2 * testkit.Touch)
			f.st.Next(1, "Get", teststore.Refuse(down))
			ws.Say("x")
			ws.ClosedEventually()
		}, "record a session's activity", true, down},
		"cleanup": {func(t *testing.T, f *failing) {
			f.st.Always(teststore.Refuse(down), "Sweep")
			require.True(t, f.StartAutoCleanup(time.Minute))
			time.Sleep(time.Minute + time.Second)
			f.StopAutoCleanup()
		}, "clean up", false, bridge.ErrStoreUnavailable},
		"a look at a session whose time is over": {func(t *testing.T, f *failing) {
			ws := f.br.Dial("/ws").Listen()
			ws.Ask("id")
			f.st.Always(teststore.Refuse(down), "Get")
			require.Equal(t, bridge.CodeUnavailable, ws.ClosedEventually())
		}, "find out whether a session is alive", true, bridge.ErrStoreUnavailable},
		"a response whose session can't be stored": {func(t *testing.T, f *failing) {
			f.st.Next(1, "Set", teststore.Refuse(down))
			require.Equal(t, http.StatusServiceUnavailable, f.br.Get("/value").Status)
		}, "store a session: the response is replaced by an error", true, bridge.ErrStoreUnavailable},
		"a connection's session": {func(t *testing.T, f *failing) {
			ws := f.br.Dial("/held").Listen()
			f.st.Always(teststore.Refuse(down), "Set")
			ws.Say("x")
			require.Equal(t, bridge.CodeUnavailable, ws.ClosedEventually())
		}, "store a connection's session", true, bridge.ErrStoreUnavailable},
		"a report of a session that was stored directly": {func(_ *testing.T, f *failing) {
			f.st.Next(1, "Get", teststore.Refuse(down))
			f.NotifyStoreSet(f.id, false)
		}, "report a session that was stored directly", true, bridge.ErrStoreUnavailable},
		"a stored session that can't be read": {func(t *testing.T, f *failing) {
			rec := teststore.Stored(t, f.st, f.id)
			rec.Data = []byte(`{"k":"` + testkit.Confidential)
			_, err := f.st.Set(t.Context(), rec)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, f.br.Get("/get").Status)
		}, "read a stored session", true, nil},
		"a session too many": {func(t *testing.T, f *failing) {
			f.br.OK("/login?user=ada")
			f.st.Next(1, "Destroy", teststore.Refuse(down))
			webclient.NewBrowser(t, f.site).OK("/login?user=ada")
		}, "end the sessions that a user has beyond Options.MaxSessionsPerUser", false, down},
		"a change that comes too late": {func(t *testing.T, f *failing) {
			s, err := f.GetByID(t.Context(), f.id)
			require.NoError(t, err)
			s.Set("k", testkit.Confidential)
		}, "do Session.Set: the change is lost", true, bridge.ErrSessionClosed},
		"a connection's handler": {func(t *testing.T, f *failing) {
			ws := f.br.Dial("/fails").Listen()
			ws.Say("x")
			require.Equal(t, bridge.CodeFailed, ws.ClosedEventually())
		}, "go on with a connection: its handler has failed", true, nil},
		"options of a handler": {func(t *testing.T, f *failing) {
			f.WebSocket(testkit.Converse, &bridge.ConnOptions{MessageBurst: -7})
		}, "use a handler's ConnOptions", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing(t)
				c.fail(t, f)
				synctest.Wait()
				told, said := f.failures.Rest(), []string{}
				found := false
				for _, failure := range told {
					said = append(said, failure.Doing)
					require.Error(t, failure.Err)
					require.NotContains(t, failure.Doing+failure.Err.Error(), testkit.Confidential)
					if failure.Doing == c.doing && !found {
						found = true
						require.Equal(t, c.about, failure.SessionID == f.id, "%q", failure.SessionID)
						if c.because != nil {
							require.ErrorIs(t, failure.Err, c.because)
						}
					}
				}
				require.True(t, found, "%q", said)
				require.Equal(t, f.logged(t), said, "log and events say the same")
			})
		})
	}
}

// A connection that the store's failure keeps from opening, or ends, is reported once.
func TestConnectionsThatTheStoreFailsAreFailures(t *testing.T) {
	const opening, running = "open a connection", "go on with a connection: its handler has failed"
	down := errors.New("the store is down")
	sometime := func(read int, path string, code int) func(*testing.T, *failing) {
		return func(t *testing.T, f *failing) {
			f.st.Next(read, "Get", teststore.Refuse(down))
			require.Equal(t, code, f.br.Dial(path).Closed())
		}
	}
	for name, c := range map[string]struct {
		fail  func(t *testing.T, f *failing)
		doing string
	}{
		"refused": {func(t *testing.T, f *failing) {
			f.st.Next(1, "Get", teststore.Refuse(down))
			_, res, err := f.br.TryDial("/ws", nil)
			require.Error(t, err)
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		}, opening},
		"closed at once":           {sometime(1, "/closed", bridge.CodeUnavailable), opening},
		"after the answer":         {sometime(2, "/ws", bridge.CodeUnavailable), opening},
		"PerConnection":            {sometime(2, "/held", bridge.CodeUnavailable), opening},
		"PerConnection's own read": {sometime(3, "/held", bridge.CodeUnavailable), running},
		"PerConnection's last save": {func(t *testing.T, f *failing) {
			ws := f.br.Dial("/held").Listen()
			f.st.Always(teststore.Refuse(down), "Set")
			ws.Say("x")
			require.Equal(t, bridge.CodeUnavailable, ws.ClosedEventually())
		}, "store a connection's session"},
		"a message": {func(t *testing.T, f *failing) {
			ws := f.br.Dial("/messages")
			require.Equal(t, "0", ws.Ask("x"))
			f.st.Next(1, "Get", teststore.Refuse(down))
			ws.Say("x")
			require.Equal(t, bridge.CodeUnavailable, ws.Closed())
		}, running},
		"no Hijacker": {func(t *testing.T, f *failing) {
			w := httptest.NewRecorder()
			f.Handler(f.Mux).ServeHTTP(w, webclient.UpgradeRequest(t, "/ws"))
			require.GreaterOrEqual(t, w.Code, http.StatusInternalServerError)
		}, opening},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing(t)
				f.Mux.Handle("/closed", f.WebSocket(testkit.Converse, &bridge.ConnOptions{OnUnavailable: bridge.CloseUnavailable}))
				f.Mux.Handle("/messages", f.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, _ *bridge.Session) error {
					return msg.ReplyJSON(0)
				}, nil))
				c.fail(t, f)
				synctest.Wait()
				told := f.failures.Rest()
				require.Len(t, told, 1)
				require.Equal(t, c.doing, told[0].Doing)
				require.Equal(t, []string{c.doing}, f.logged(t))
			})
		})
	}
}

// What a client causes at a handshake is no failure, and neither are limits and the shutdown.
func TestRefusedHandshakesAreNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t)
		f.Mux.Handle("/must", f.WebSocket(testkit.Converse, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
		require.Equal(t, http.StatusUpgradeRequired, f.br.Get("/ws").Status)
		for _, dial := range []func() (*webclient.Socket, *http.Response, error){
			func() (*webclient.Socket, *http.Response, error) {
				return webclient.NewBrowser(t, f.site).TryDial("/must", nil)
			},
			func() (*webclient.Socket, *http.Response, error) {
				return f.br.TryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
			},
			func() (*webclient.Socket, *http.Response, error) {
				require.NoError(t, f.Shutdown(t.Context()))
				return f.br.TryDial("/ws", nil)
			},
		} {
			_, _, err := dial()
			require.Error(t, err)
		}
		require.Empty(t, f.logged(t))
	})
}

func TestFailureCallbackThatPanicsIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t)
		var calls int
		f.OnFailure(func(bridge.Failure) { calls++; panic("and now?") })
		f.st.Next(1, "Set", teststore.Refuse(teststore.ErrDiskFull))
		require.Equal(t, http.StatusServiceUnavailable, f.br.Get("/value").Status)
		synctest.Wait()
		require.Equal(t, 1, calls, "its own panic is none, or it would never end")
		require.Len(t, f.failures.Rest(), 1)
		require.Contains(t, f.log.String(), "event callback panicked")
	})
}

func TestNoFailureNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t)
		ws := f.br.Dial("/ws").Listen()
		ws.Ask("inc")
		f.br.OK("/value")
		f.br.OK("/login?user=ada")
		ws.ClosedEventually()
		require.Equal(t, http.StatusOK, f.br.Get("/logout").Status)
		synctest.Wait()
		require.Empty(t, f.failures.Rest())
		require.Empty(t, f.logged(t))
	})
}

// What the log says, where a program wants to count or alarm.
func ExampleBridge_OnFailure() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	told := make(chan bridge.Failure, 1)
	off := b.OnFailure(func(f bridge.Failure) { told <- f })
	defer off()

	// Somebody keeps a Session for longer than it lives.
	mux := http.NewServeMux()
	var kept *bridge.Session
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { kept, _ = b.Session(r) })
	b.Handler(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	kept.Set("too", "late")

	f := <-told
	fmt.Println("could not", f.Doing, errors.Is(f.Err, bridge.ErrSessionClosed))
	fmt.Println(b.Shutdown(context.Background()))
	// Output:
	// could not do Session.Set: the change is lost true
	// <nil>
}
