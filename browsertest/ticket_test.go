package browsertest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// ticketPage opens a socket on another host with a ticket, and shows how that went.
const ticketPage = `<!doctype html><title>tickets</title><body></body><script>
async function open(path, offers) {
	const line = document.body.appendChild(document.createElement("p"));
	const ticket = await (await fetch("/ticket", { method: "POST" })).text();
	const ws = new WebSocket("ws://localhost:" + location.port + path, [...offers, "sessionbridge.ticket." + ticket]);
	ws.onmessage = e => line.textContent = path + " " + offers + ": " + ws.protocol + " " + e.data;
	ws.onclose = e => line.textContent ||= path + " " + offers + ": failed";
}
open("/chat", ["chat.v1"]);
open("/chat", ["chat.v0", "chat.v1", "sessionbridge"]);
open("/chat", ["chat.v0"]);
open("/plain", ["sessionbridge"]);
open("/plain", ["chat.v1"]);
</script>`

// A browser fails a handshake whose offers are all ignored. With an upgrader that has subprotocols of its own the page offers one of them beside the ticket, and that is what it gets.
func TestTicketBesideTheSubprotocolsOfAnotherLibrary(t *testing.T) {
	b, err := bridge.New(livestore.New(), &bridge.Options{OriginPatterns: []string{"127.0.0.1:*"}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		require.NoError(t, b.Shutdown(ctx))
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			http.Error(w, "no session", bridge.HTTPStatus(err))
			return
		}
		s.Set("name", "ada")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, ticketPage)
	})
	mux.HandleFunc("POST /ticket", func(w http.ResponseWriter, r *http.Request) {
		ticket, err := b.Ticket(r)
		if err != nil {
			http.Error(w, "no ticket", bridge.HTTPStatus(err))
			return
		}
		fmt.Fprint(w, ticket)
	})
	socket := func(protocols ...string) http.HandlerFunc {
		upgrader := websocket.Upgrader{Subprotocols: protocols, CheckOrigin: func(*http.Request) bool { return true }} // Attach does
		return func(w http.ResponseWriter, r *http.Request) {
			conn, err := upgrader.Upgrade(w, r, b.HandshakeHeader(r))
			if err != nil {
				return
			}
			defer conn.Close()
			link, err := b.Attach(r, func(code int, reason string) {
				_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
				_ = conn.NetConn().SetReadDeadline(time.Now().Add(time.Second))
			})
			if err != nil {
				return
			}
			defer link.Detach()
			name, err := bridge.WithSession(r.Context(), link, func(_ context.Context, s *bridge.Session) (any, error) {
				v, _ := s.Get("name")
				return v, nil
			}, nil)
			if err == nil && conn.WriteMessage(websocket.TextMessage, fmt.Append(nil, name)) == nil {
				_, _, _ = conn.ReadMessage()
			}
		}
	}
	mux.Handle("/chat", socket("chat.v1", "chat.v2"))
	mux.Handle("/plain", socket())
	srv := httptest.NewServer(b.Handler(mux))
	t.Cleanup(srv.Close)

	browser := startBrowser(t)
	page := openTab(t, browser, "tickets", srv.URL+"/")
	for _, want := range []string{
		"/chat chat.v1: chat.v1 ada",
		"/chat chat.v0,chat.v1,sessionbridge: chat.v1 ada",
		"/chat chat.v0: failed",
		"/plain sessionbridge: sessionbridge ada",
		"/plain chat.v1: failed",
	} {
		page.shows(t, fmt.Sprintf("document.body.innerText.includes(%q)", want))
	}
}
