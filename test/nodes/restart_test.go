package nodes_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestRestart: over the same store and keys, sockets and HTTP come back to the same session, and
// its first use is reported as IsInit, not as IsNew.
func TestRestart(t *testing.T) {
	for _, first := range []string{"HTTP", "socket"} {
		t.Run(first+" first", func(t *testing.T) {
			st := livestore.New()
			keys := [][]byte{endtoend.NewKey()}
			before := endtoend.Start(t, st, &bridge.Options{Keys: keys})
			ada := endtoend.NewBrowser(t, before)
			require.Equal(t, "1", ada.Get("/increment"))
			session, client := ada.Get("/id"), ada.Get("/client")
			open := ada.Dial()
			require.Equal(t, "2", open.Ask("increment"))
			hung := make(chan int)
			go func() { hung <- open.Closed() }()
			before.Stop()
			require.Equal(t, bridge.CodeShutdown, <-hung)

			after := endtoend.Start(t, st, &bridge.Options{Keys: keys})
			events := endtoend.Record(t, after)
			ada = ada.At(after)
			var back *endtoend.Socket
			if first == "HTTP" {
				require.Equal(t, "3", ada.Get("/increment"))
				back = ada.Dial()
				require.Equal(t, "4", back.Ask("increment"))
			} else {
				back = ada.Dial()
				require.Equal(t, "3", back.Ask("increment"))
				require.Equal(t, "4", ada.Get("/increment"))
			}
			require.Equal(t, session, ada.Get("/id"))
			require.Equal(t, session, back.Ask("id"))
			require.Equal(t, client, ada.Get("/client"))

			var sets []bridge.SessionSet
			for _, e := range events.Wait(4) { // with the socket's
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

// TestKeyRotation: with a new key in front of the old one every cookie stays valid; when the old
// key is removed, browsers that have made a request since keep their session and client.
func TestKeyRotation(t *testing.T) {
	st := livestore.New()
	oldKey, nextKey := endtoend.NewKey(), endtoend.NewKey()
	a := endtoend.Start(t, st, &bridge.Options{Keys: [][]byte{oldKey}})
	ada, bob := endtoend.NewBrowser(t, a), endtoend.NewBrowser(t, a)
	require.Equal(t, "1", ada.Get("/increment"))
	require.Equal(t, "1", bob.Get("/increment"))
	client := ada.Get("/client")
	a.Stop()

	a = endtoend.Start(t, st, &bridge.Options{Keys: [][]byte{nextKey, oldKey}, ClientRollEvery: time.Nanosecond})
	ada = ada.At(a)
	require.Equal(t, "2", ada.Get("/increment"), "the old key still verifies")
	require.Empty(t, ada.Get("/rotate")) // which signs the session's cookie anew
	socket := ada.Dial()
	require.Equal(t, "3", socket.Ask("increment"))
	socket.Leave()
	a.Stop()

	a = endtoend.Start(t, st, &bridge.Options{Keys: [][]byte{nextKey}})
	ada, bob = ada.At(a), bob.At(a)
	require.Equal(t, "4", ada.Get("/increment"))
	require.Equal(t, client, ada.Get("/client"))
	socket = ada.Dial()
	require.Equal(t, "5", socket.Ask("increment"))
	socket.Leave()
	require.Equal(t, "1", bob.Get("/increment"), "a cookie under a key that is gone opens nothing")
}
