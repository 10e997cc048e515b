package bridge_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What Read has returned is the handler's to keep: later messages, here or on other connections, don't change it.
func TestReadGivesEachMessageMemoryOfItsOwn(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/keep", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		var kept [][]byte
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if string(data) != "report" {
				kept = append(kept, data)
				continue
			}
			var texts []string
			for _, data := range kept {
				texts = append(texts, string(data))
			}
			if err := c.WriteJSON(ctx, texts); err != nil {
				return err
			}
		}
	}, &bridge.ConnOptions{MaxMessageBytes: bridge.Off}))
	site := a.serve(t)
	first, second := newBrowser(t, site).dial("/keep"), newBrowser(t, site).dial("/keep")
	first.say("abcdefgh")
	first.say("")
	first.say(text(3000))
	second.say("ABCDEFGHIJ")
	require.JSONEq(t, `["ABCDEFGHIJ"]`, second.ask("report"))
	first.say("12345678")
	require.JSONEq(t, `["abcdefgh","","`+text(3000)+`","12345678"]`, first.ask("report"))
}
