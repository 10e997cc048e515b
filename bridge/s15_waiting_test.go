package bridge_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestS15_MessagesThatWaitAreNotPrinted: the Bridge has read them for a handler that doesn't read,
// and fmt prints a Conn field by field where a verb isn't for it.
func TestS15_MessagesThatWaitAreNotPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		printed := make(chan string, 1)
		read := make(chan string, 2)
		a.mux.Handle("/later", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			time.Sleep(time.Minute)
			hidden := struct{ c *bridge.Conn }{c}
			text := ""
			for _, verb := range []string{"%s", "%d", "%x", "%w"} {
				text += fmt.Sprintf("x"+verb, c) + fmt.Sprintf("x"+verb, hidden)
			}
			printed <- text
			for range cap(read) {
				_, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				read <- string(data)
			}
			return nil
		}, nil))
		br := newBrowser(t, a.serveInMemory(t))
		ws := br.dial("/later").listen()
		time.Sleep(time.Second)
		ws.say(secretWord)
		ws.say("second")
		text := <-printed
		require.NotContains(t, text, secretWord)
		require.NotContains(t, text, fmt.Sprintf("%d", []byte(secretWord[:4]))[1:10])
		require.Equal(t, secretWord, <-read)
		require.Equal(t, "second", <-read)
	})
}
