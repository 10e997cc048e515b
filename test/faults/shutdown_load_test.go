package faults_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestShutdownUnderLoad: every socket is closed with 1012 while it is busy, and every acknowledged
// increment is stored.
func TestShutdownUnderLoad(t *testing.T) {
	const browsers, before = 4, 200
	st := livestore.New()
	keys := [][]byte{endtoend.NewKey()}
	a := endtoend.Start(t, st, &bridge.Options{Keys: keys})
	var (
		users [browsers]*endtoend.Browser
		told  [browsers]atomic.Int64 // the highest number that was acknowledged
		asked [browsers]atomic.Int64
		inAll atomic.Int64
		busy  sync.WaitGroup
	)
	loaded := make(chan struct{})
	tell := func(i int, text string) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Errorf("an answer that is no number: %q", text)
		}
		for had := told[i].Load(); n > had && !told[i].CompareAndSwap(had, n); had = told[i].Load() {
		}
		if inAll.Add(1) == before {
			close(loaded)
		}
	}
	for i := range users {
		users[i] = endtoend.NewBrowser(t, a)
		users[i].Get("/id?new")
		for range 2 {
			s := users[i].Dial()
			busy.Go(func() {
				for {
					asked[i].Add(1)
					err := s.TrySay("increment")
					text := ""
					if err == nil {
						text, err = s.TryHear()
					}
					if err != nil {
						code := int(websocket.CloseStatus(err))
						if code == -1 { // it was writing when the close came
							code = s.Closed()
						}
						if code != bridge.CodeShutdown {
							t.Errorf("closed with %d: %v", code, err)
						}
						return
					}
					tell(i, text)
				}
			})
		}
		busy.Go(func() {
			for {
				asked[i].Add(1)
				text, err := users[i].Try("/increment")
				if err != nil { // the server takes no more
					return
				}
				tell(i, text)
			}
		})
	}
	<-loaded
	a.Stop()
	busy.Wait()

	a = endtoend.Start(t, st, &bridge.Options{Keys: keys})
	for i := range users {
		stored, err := strconv.ParseInt(users[i].At(a).Get("/count"), 10, 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, stored, told[i].Load())
		require.LessOrEqual(t, stored, asked[i].Load())
	}
}
