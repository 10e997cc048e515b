package guarantees_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
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

// stuckHandler is an application's slog.Handler that hangs at lines with a text until the test
// releases it.
type stuckHandler struct {
	slog.Handler
	at      string
	reached chan struct{}
	goOn    chan struct{}

	mu    sync.Mutex
	lines []string // that were written
}

func stuckAt(line string) *stuckHandler {
	return &stuckHandler{Handler: slog.DiscardHandler, at: line, reached: make(chan struct{}, 1000), goOn: make(chan struct{})}
}

func (*stuckHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *stuckHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	if strings.Contains(text, h.at) {
		h.reached <- struct{}{}
		<-h.goOn
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, text)
	return nil
}

// A Handler that hangs at a line blocks only the goroutine that logs it: no other request of the
// session, function of WithSession, logout, login of the user, or end of a connection waits for it.
func TestG12_NobodyCanStallIt_StuckLogHandlerDelaysOnlyWhoLogs(t *testing.T) {
	down := errors.New("the store is down")
	login := func(b *busy, _ *teststore.Faulty) { b.ask(b.t.Context(), "/login?user=ada") }
	for line, provoke := range map[string]func(b *busy, st *teststore.Faulty){
		"user logged in": login,
		"token rotated":  func(b *busy, _ *teststore.Faulty) { b.ask(b.t.Context(), "/rotate") },
		"session ended": func(b *busy, _ *teststore.Faulty) { // of the user, beyond the limit
			webclient.Pocket{}.Get(b.t, b.h, "/login?user=ada")
			login(b, nil)
		},
		"beyond Options.MaxSessionsPerUser": func(b *busy, st *teststore.Faulty) {
			webclient.Pocket{}.Get(b.t, b.h, "/login?user=ada")
			st.Next(1, "Destroy", teststore.Refuse(down))
			login(b, nil)
		},
		"client mismatch": func(b *busy, _ *teststore.Faulty) {
			p := webclient.Pocket{"sid": b.p["sid"], "sid.cid": "x"}
			p.Get(b.t, b.h, "/get")
		},
		"record a session's activity": func(b *busy, st *teststore.Faulty) {
			time.Sleep(time.Hour)
			st.Next(1, "Touch", teststore.Refuse(down))
			b.ask(b.t.Context(), "/inc")
		},
		"the response is replaced by an error": func(b *busy, st *teststore.Faulty) {
			st.Next(1, "Set", teststore.Refuse(down))
			b.ask(b.t.Context(), "/tab")
		},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, h := teststore.NewFaulty(), stuckAt(line)
				b := newBusyWith(t, st, &bridge.Options{
					StoreTimeout: storeLimit, MaxSessionsPerUser: 1, TouchInterval: time.Minute, Logger: slog.New(h),
				})
				go provoke(b, st)
				<-h.reached
				start := time.Now()
				require.NoError(t, b.UpdateByID(t.Context(), b.id, testkit.Set("k", 1)))
				require.NoError(t, b.SetByID(t.Context(), b.id, map[string]any{"k": 2}, 0))
				require.NoError(t, b.TouchByID(t.Context(), b.id))
				require.Equal(t, 200, webclient.Pocket{}.Get(t, b.h, "/inc").Code)
				if line != "session ended" { // that of another session is being logged
					ended, err := b.DestroyByID(t.Context(), b.id)
					require.NoError(t, err)
					require.True(t, ended)
				}
				require.Zero(t, time.Since(start))
				close(h.goOn)
			})
		})
	}
}

// The line of a session's end itself delays neither the closes of its connections nor another end
// of it.
func TestG12_NobodyCanStallIt_StuckLineOfASessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := stuckAt("session ended")
		b := newBusyWith(t, livestore.New(), &bridge.Options{Logger: slog.New(h)})
		closes := testkit.Record[bridge.ConnClose](t, b.Bridge)
		br := webclient.NewBrowser(t, b.ServeInMemory(t))
		for name, value := range b.p {
			br.SetCookie(name, value)
		}
		ws := br.Dial("/ws").Listen()
		go b.ask(t.Context(), "/logout")
		<-h.reached
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, closes.Next().Code)
		require.Equal(t, bridge.CodeDestroyed, ws.Closed())
		was, err := b.DestroyByID(t.Context(), b.id)
		require.NoError(t, err)
		require.False(t, was)
		require.ErrorIs(t, b.UpdateByID(t.Context(), b.id, testkit.Set("k", 1)), bridge.ErrSessionMissing)
		require.Equal(t, 200, webclient.Pocket{}.Get(t, b.h, "/inc").Code)
		require.Zero(t, time.Since(start))
		close(h.goOn)
	})
}

// The log lines of the Bridge's background goroutines during an outage delay none of its work,
// however many there are.
func TestG12_NobodyCanStallIt_StuckLogHandlerDelaysNoBackgroundWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const conns = 100 // more than there are workers
		st, h := teststore.NewFaulty(), stuckAt("store a connection's session")
		a := testkit.NewApp(t, st, &bridge.Options{Logger: slog.New(h)})
		a.Mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
			s.Set("k", "v")
			_, _, err := c.Read(ctx)
			return err
		}, &bridge.ConnOptions{SaveEvery: time.Second}))
		site := a.ServeInMemory(t)
		var ids []string
		for range conns {
			br := webclient.NewBrowser(t, site)
			br.OK("/inc")
			ids = append(ids, br.OK("/id"))
			br.Dial("/held").Listen()
		}
		st.Always(teststore.Refuse(errors.New("down")), "Set")
		time.Sleep(10 * time.Second)
		require.Equal(t, uint64(10*conns), a.Stats().SaveFailures)
		st.Heal()
		time.Sleep(time.Second)
		for _, id := range ids {
			require.Contains(t, string(teststore.Stored(t, st, id).Data), `"k":"v"`)
		}
		close(h.goOn)
	})
}

// A connection whose handler panicked is closed even if the log line about it hangs.
func TestG12_NobodyCanStallIt_StuckLineOfAPanicKeepsNoConnectionOpen(t *testing.T) {
	for name, fn := range map[string]func() error{
		"panicked":           func() error { panic("a bug") },
		"handler has failed": func() error { return errors.New("a bug") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := stuckAt(name)
				a := testkit.NewApp(t, livestore.New(), &bridge.Options{Logger: slog.New(h)})
				a.Mux.Handle("/fails", a.WebSocket(func(context.Context, *bridge.Conn) error { return fn() }, nil))
				closes := testkit.Record[bridge.ConnClose](t, a.Bridge)
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				ws := br.Dial("/fails").Listen()
				require.Equal(t, bridge.CodeFailed, closes.Next().Code)
				require.Equal(t, bridge.CodeFailed, ws.Closed())
				require.Zero(t, a.Stats().Conns)
				close(h.goOn)
			})
		})
	}
}

// nosy is a value whose encoding hangs.
type nosy struct{ inside, goOn chan struct{} }

func (n nosy) MarshalJSON() ([]byte, error) {
	close(n.inside)
	<-n.goOn
	return json.Marshal("nosy")
}

// The encoding of a value also runs an application's code, and so runs under no lock.
func TestG12_NobodyCanStallIt_ValueThatHangsWhenItIsEncodedDelaysNoOther(t *testing.T) {
	for name, use := range map[string]func(b *busy, s *bridge.Session, v nosy){
		"Set":      func(_ *busy, s *bridge.Session, v nosy) { s.Set("k", v) },
		"AddFlash": func(_ *busy, s *bridge.Session, v nosy) { s.AddFlash(v) },
		"Encode":   func(_ *busy, s *bridge.Session, v nosy) { _ = s.Encode(struct{ K nosy }{v}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBusy(t, livestore.New())
				v := nosy{make(chan struct{}), make(chan struct{})}
				b.Page("/use", func(r *http.Request) (any, error) {
					s, err := b.Session(r)
					require.NoError(t, err)
					done := make(chan struct{})
					go func() { defer close(done); use(b, s, v) }()
					<-v.inside
					_, ok := s.Get("n")
					require.True(t, ok)
					s.Set("other", 1)
					close(v.goOn)
					<-done
					return "ok", nil
				})
				require.Equal(t, 200, b.ask(t.Context(), "/use").Code)
			})
		})
	}
	t.Run("SetByID", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBusy(t, livestore.New())
			v := nosy{make(chan struct{}), make(chan struct{})}
			done := make(chan error, 1)
			go func() { done <- b.SetByID(t.Context(), b.id, map[string]any{"k": v}, 0) }()
			<-v.inside
			require.Equal(t, 200, b.ask(t.Context(), "/tab").Code)
			close(v.goOn)
			require.NoError(t, <-done)
		})
	})
}

// Lines about one session come in the order of their events.
func TestLinesOfOneSessionComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := stuckAt("never")
		b := newBusyWith(t, livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}, Logger: slog.New(h)})
		p := b.p
		p.Get(t, b.h, "/login?user=ada")
		p.Get(t, b.h, "/rotate")
		p.Get(t, b.h, "/logout")
		var lines []string
		for _, line := range h.lines {
			text, _, _ := strings.Cut(line, " session=")
			text, _, _ = strings.Cut(text, " the session")
			lines = append(lines, text)
		}
		require.Equal(t, []string{"session created", "user logged in", "token rotated", "session ended"}, lines)
	})
}
