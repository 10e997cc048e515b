package sessionbridge_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestRestart: over the same store and keys, sockets and HTTP come back to the same session, and its first use is reported
// as IsInit, not as IsNew.
func TestRestart(t *testing.T) {
	for _, first := range []string{"HTTP", "socket"} {
		t.Run(first+" first", func(t *testing.T) {
			st := livestore.New()
			keys := [][]byte{newKey()}
			before := start(t, st, &bridge.Options{Keys: keys})
			ada := newBrowser(t, before)
			require.Equal(t, "1", ada.get("/increment"))
			session, client := ada.get("/id"), ada.get("/client")
			open := ada.dial()
			require.Equal(t, "2", open.ask("increment"))
			hung := make(chan int)
			go func() { hung <- open.closed() }()
			before.stop()
			require.Equal(t, bridge.CodeShutdown, <-hung)

			after := start(t, st, &bridge.Options{Keys: keys})
			events := record(t, after)
			ada = ada.at(after)
			var back *socket
			if first == "HTTP" {
				require.Equal(t, "3", ada.get("/increment"))
				back = ada.dial()
				require.Equal(t, "4", back.ask("increment"))
			} else {
				back = ada.dial()
				require.Equal(t, "3", back.ask("increment"))
				require.Equal(t, "4", ada.get("/increment"))
			}
			require.Equal(t, session, ada.get("/id"))
			require.Equal(t, session, back.ask("id"))
			require.Equal(t, client, ada.get("/client"))

			var sets []bridge.SessionSet
			for _, e := range events.wait(4) { // with the socket's
				if set, ok := e.(bridge.SessionSet); ok {
					sets = append(sets, set)
				}
			}
			for i := range sets {
				require.Equal(t, session, sets[i].SessionID)
				require.Equal(t, client, sets[i].ClientID)
				require.False(t, sets[i].IsNew)
				require.Equal(t, i == 0, sets[i].IsInit)
			}
			require.Len(t, sets, 3)
			require.Empty(t, sets[0].Keys, "attached, not changed")
		})
	}
}

// TestKeyRotation: a new key in front of the old one keeps every cookie; when the old one goes, those who came by since
// keep their session, and their client with it.
func TestKeyRotation(t *testing.T) {
	st := livestore.New()
	oldKey, nextKey := newKey(), newKey()
	a := start(t, st, &bridge.Options{Keys: [][]byte{oldKey}})
	ada, bob := newBrowser(t, a), newBrowser(t, a)
	require.Equal(t, "1", ada.get("/increment"))
	require.Equal(t, "1", bob.get("/increment"))
	client := ada.get("/client")
	a.stop()

	a = start(t, st, &bridge.Options{Keys: [][]byte{nextKey, oldKey}, ClientRollEvery: time.Nanosecond})
	ada = ada.at(a)
	require.Equal(t, "2", ada.get("/increment"), "the old key still verifies")
	require.Empty(t, ada.get("/rotate")) // which signs the session's cookie anew
	socket := ada.dial()
	require.Equal(t, "3", socket.ask("increment"))
	socket.leave()
	a.stop()

	a = start(t, st, &bridge.Options{Keys: [][]byte{nextKey}})
	ada, bob = ada.at(a), bob.at(a)
	require.Equal(t, "4", ada.get("/increment"))
	require.Equal(t, client, ada.get("/client"))
	socket = ada.dial()
	require.Equal(t, "5", socket.ask("increment"))
	socket.leave()
	require.Equal(t, "1", bob.get("/increment"), "a cookie under a key that is gone opens nothing")
}
