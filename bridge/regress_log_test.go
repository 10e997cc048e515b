package bridge_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// askingHandler is a log handler as applications have them: it adds to each line who it is about.
type askingHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h askingHandler) Handle(ctx context.Context, r slog.Record) error {
	session, _ := bridge.SessionIDFrom(ctx)
	client, _ := bridge.ClientIDFrom(ctx)
	r.AddAttrs(slog.String("about", session), slog.String("by", client))
	return h.Handler.Handle(ctx, r)
}

// Whatever goes wrong, a log handler may ask for the session: no line is written under a lock that
// it would wait for.
func TestLogHandlerMayAskForTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		fail    string // calls to the store
		cookies func(p webclient.Pocket)
		page    func(a *testkit.App, w http.ResponseWriter, r *http.Request, s *bridge.Session)
	}{
		"failed commit": {"Set", nil, func(_ *testkit.App, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { s.Set("k", 1) }},
		"failed late commit": {"Set", nil, func(_ *testkit.App, w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
			_, _ = io.WriteString(w, "x")
			s.Set("k", 1)
		}},
		"failed function": {"Set", nil, func(a *testkit.App, _ http.ResponseWriter, r *http.Request, _ *bridge.Session) {
			_ = a.WithSession(r, testkit.Set("k", 1), nil)
		}},
		"failed Destroy": {"Destroy", nil, func(_ *testkit.App, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { s.Destroy() }},
		"failed Destroy of a handler that panics": {"Destroy", nil, func(_ *testkit.App, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) {
			s.Destroy()
			panic(http.ErrAbortHandler)
		}},
		"Destroy":             {"", nil, func(_ *testkit.App, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { s.Destroy() }},
		"login":               {"", nil, func(_ *testkit.App, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { _ = s.Login("ada") }},
		"no client cookie":    {"", func(p webclient.Pocket) { delete(p, "sid.cid") }, nil},
		"cookie of a bad key": {"", func(p webclient.Pocket) { p["sid"] = "bad" + p["sid"] }, nil},
		"Attach from elsewhere": {"", nil, func(a *testkit.App, _ http.ResponseWriter, r *http.Request, _ *bridge.Session) {
			r.Header.Set("Origin", "https://evil.example")
			_, err := a.Attach(r, func(int, string) {})
			require.ErrorIs(t, err, bridge.ErrOrigin)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			var log bytes.Buffer
			lines := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})
			a := testkit.NewApp(t, st, &bridge.Options{Logger: slog.New(askingHandler{lines})})
			a.Mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				s, err := a.Session(r)
				require.NoError(t, err)
				if c.page != nil {
					c.page(a, w, r, s)
				}
			})
			h := a.Handler(a.Mux)
			visitor := webclient.Pocket{}
			visitor.Get(t, h, "/inc")
			if c.cookies != nil {
				c.cookies(visitor)
			}
			if c.fail != "" {
				st.Always(teststore.Refuse(teststore.ErrDiskFull), c.fail)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }() // a response that is aborted
				visitor.Get(t, h, "/page")
			}()
			await.Receive(t, done)
			st.Heal()
			require.Contains(t, log.String(), "about=")
		})
	}
}
