package bridge_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What Read has returned is the handler's to keep: later messages, here or on other connections,
// don't change it.
func TestReadGivesEachMessageMemoryOfItsOwn(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/keep", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
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
	site := a.Serve(t)
	first, second := webclient.NewBrowser(t, site).Dial("/keep"), webclient.NewBrowser(t, site).Dial("/keep")
	first.Say("abcdefgh")
	first.Say("")
	first.Say(text(3000))
	second.Say("ABCDEFGHIJ")
	require.JSONEq(t, `["ABCDEFGHIJ"]`, second.Ask("report"))
	first.Say("12345678")
	require.JSONEq(t, `["abcdefgh","","`+text(3000)+`","12345678"]`, first.Ask("report"))
}
