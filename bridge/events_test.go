package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestEvents: a scripted life, and every event of it, in order.
func TestEvents(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	events := endtoend.Record(t, a)
	ada := endtoend.NewBrowser(t, a)
	n := 0
	// next waits for the step's events, so that those of the next one come after them.
	next := func(more int) {
		n += more
		events.Wait(n)
	}
	ada.Get("/increment")
	first, client := ada.Get("/id"), ada.Get("/client")
	next(1)
	tab := ada.Dial()
	next(1)
	tab.Ask("increment")
	next(1)
	tab.Ask("id") // changes nothing, so there is nothing to tell
	ada.Get("/login?user=ada")
	require.Equal(t, bridge.CodeReconnect, tab.Closed())
	next(2)
	tab = ada.Dial()
	next(1)
	ada.Get("/rotate")
	next(1)
	require.Equal(t, "2", ada.Get("/count"))
	ada.Get("/logout")
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	next(2)

	ada.Get("/increment")
	second := ada.Get("/id")
	next(1)
	tab = ada.Dial()
	next(1)
	require.NoError(t, a.Bridge.SetByID(t.Context(), second, map[string]any{"theme": "dark"}, 0))
	next(1)
	tab.Ask("expire")
	require.Equal(t, bridge.CodeExpired, tab.Closed())
	next(3)
	cleared, err := a.Bridge.Cleanup(t.Context())
	require.NoError(t, err)
	require.Zero(t, cleared, "its expiry has been noticed")
	next(1)

	got := events.Wait(n)
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
