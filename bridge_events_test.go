package sessionbridge_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// recorder keeps the events of an application.
type recorder struct {
	t  *testing.T
	mu sync.Mutex
	of []bridge.Event
}

func record(t *testing.T, a *app) *recorder {
	t.Helper()
	r := &recorder{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	events := a.bridge.Subscribe(ctx, 1000)
	var reading sync.WaitGroup
	reading.Go(func() {
		for e := range events {
			r.mu.Lock()
			r.of = append(r.of, e)
			r.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return r
}

// wait returns the events so far when there are at least n.
func (r *recorder) wait(n int) []bridge.Event {
	r.t.Helper()
	var events []bridge.Event
	require.Eventually(r.t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		events = append([]bridge.Event(nil), r.of...)
		return len(events) >= n
	}, patience, time.Millisecond, "%d events", n)
	return events
}

// TestEvents: a scripted life, and every event of it, in order.
func TestEvents(t *testing.T) {
	a := start(t, livestore.New(), nil)
	events := record(t, a)
	ada := newBrowser(t, a)
	n := 0
	// next waits for the step's events, so that those of the next one come after them.
	next := func(more int) {
		n += more
		events.wait(n)
	}
	ada.get("/increment")
	first, client := ada.get("/id"), ada.get("/client")
	next(1)
	tab := ada.dial()
	next(1)
	tab.ask("increment")
	next(1)
	tab.ask("id") // changes nothing, so there is nothing to tell
	ada.get("/login?user=ada")
	require.Equal(t, bridge.CodeReconnect, tab.closed())
	next(2)
	tab = ada.dial()
	next(1)
	ada.get("/rotate")
	next(1)
	require.Equal(t, "2", ada.get("/count"))
	ada.get("/logout")
	require.Equal(t, bridge.CodeDestroyed, tab.closed())
	next(2)

	ada.get("/increment")
	second := ada.get("/id")
	next(1)
	tab = ada.dial()
	next(1)
	require.NoError(t, a.bridge.SetByID(t.Context(), second, map[string]any{"theme": "dark"}, 0))
	next(1)
	tab.ask("expire")
	require.Equal(t, bridge.CodeExpired, tab.closed())
	next(3)
	cleared, err := a.bridge.Cleanup(t.Context())
	require.NoError(t, err)
	require.Zero(t, cleared, "its expiry has been noticed")
	next(1)

	got := events.wait(n)
	for i, e := range got { // what no script can know
		switch e := e.(type) {
		case bridge.ConnOpen:
			require.NotEmpty(t, e.ConnID)
			require.Equal(t, "127.0.0.1", e.Addr)
			e.ConnID, e.Addr, e.UserAgent = "", "", ""
			got[i] = e
		case bridge.ConnClose:
			require.NotEmpty(t, e.ConnID)
			require.NotEmpty(t, e.Reason)
			require.Equal(t, e.Received.Messages, e.Sent.Messages, "an answer for each")
			e.ConnID, e.Reason, e.Open, e.Received, e.Sent = "", "", 0, bridge.Traffic{}, bridge.Traffic{}
			got[i] = e
		case bridge.Cleanup:
			e.Took = 0
			got[i] = e
		}
	}
	require.Equal(t, []bridge.Event{
		bridge.SessionSet{ClientID: client, SessionID: first, IsNew: true, IsInit: true, Keys: []string{"count"}, Via: bridge.ViaHTTP},
		bridge.ConnOpen{ClientID: client, SessionID: first},
		bridge.SessionSet{ClientID: client, SessionID: first, Keys: []string{"count"}, Via: bridge.ViaSocket},
		bridge.SessionSet{ClientID: client, SessionID: first, UserID: "ada", Login: true, Rotated: true, Via: bridge.ViaHTTP},
		bridge.ConnClose{ClientID: client, SessionID: first, Code: bridge.CodeReconnect},
		bridge.ConnOpen{ClientID: client, SessionID: first, UserID: "ada"},
		bridge.SessionSet{ClientID: client, SessionID: first, UserID: "ada", Rotated: true, Via: bridge.ViaHTTP},
		bridge.SessionDestroy{ClientID: client, SessionID: first, UserID: "ada", Reason: bridge.ReasonLogout, Via: bridge.ViaHTTP},
		bridge.ConnClose{ClientID: client, SessionID: first, UserID: "ada", Code: bridge.CodeDestroyed},
		bridge.SessionSet{ClientID: client, SessionID: second, IsNew: true, IsInit: true, Keys: []string{"count"}, Via: bridge.ViaHTTP},
		bridge.ConnOpen{ClientID: client, SessionID: second},
		bridge.SessionSet{ClientID: client, SessionID: second, Keys: []string{"count", "theme"}, Via: bridge.ViaAPI},
		bridge.SessionSet{ClientID: client, SessionID: second, Via: bridge.ViaSocket},
		bridge.SessionDestroy{ClientID: client, SessionID: second, Reason: bridge.ReasonExpired, Via: bridge.ViaTime},
		bridge.ConnClose{ClientID: client, SessionID: second, Code: bridge.CodeExpired},
		bridge.Cleanup{},
	}, got)
}
