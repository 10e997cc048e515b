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

// Whatever goes wrong, a log handler may ask for the session: no line is written under a lock that it would wait for.
func TestLogHandlerMayAskForTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		fail    string // calls to the store
		cookies func(p pocket)
		page    func(a *app, w http.ResponseWriter, r *http.Request, s *bridge.Session)
	}{
		"failed commit": {"Set", nil, func(_ *app, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { s.Set("k", 1) }},
		"failed late commit": {"Set", nil, func(_ *app, w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
			_, _ = io.WriteString(w, "x")
			s.Set("k", 1)
		}},
		"failed function": {"Set", nil, func(a *app, _ http.ResponseWriter, r *http.Request, _ *bridge.Session) {
			_ = a.WithSession(r, set("k", 1), nil)
		}},
		"failed Destroy": {"Destroy", nil, func(_ *app, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { s.Destroy() }},
		"failed Destroy of a handler that panics": {"Destroy", nil, func(_ *app, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) {
			s.Destroy()
			panic(http.ErrAbortHandler)
		}},
		"Destroy":             {"", nil, func(_ *app, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { s.Destroy() }},
		"login":               {"", nil, func(_ *app, _ http.ResponseWriter, _ *http.Request, s *bridge.Session) { _ = s.Login("ada") }},
		"no client cookie":    {"", func(p pocket) { delete(p, "sid.cid") }, nil},
		"cookie of a bad key": {"", func(p pocket) { p["sid"] = "bad" + p["sid"] }, nil},
		"Attach from elsewhere": {"", nil, func(a *app, _ http.ResponseWriter, r *http.Request, _ *bridge.Session) {
			r.Header.Set("Origin", "https://evil.example")
			_, err := a.Attach(r, func(int, string) {})
			require.ErrorIs(t, err, bridge.ErrOrigin)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newFaultyStore()
			var log bytes.Buffer
			lines := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})
			a := makeApp(t, st, &bridge.Options{Logger: slog.New(askingHandler{lines})})
			a.mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				s, err := a.Session(r)
				require.NoError(t, err)
				if c.page != nil {
					c.page(a, w, r, s)
				}
			})
			h := a.Handler(a.mux)
			visitor := pocket{}
			visitor.get(t, h, "/inc")
			if c.cookies != nil {
				c.cookies(visitor)
			}
			if c.fail != "" {
				st.always(refuse(errStore), c.fail)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }() // a response that is aborted
				visitor.get(t, h, "/page")
			}()
			receive(t, done)
			st.heal()
			require.Contains(t, log.String(), "about=")
		})
	}
}
