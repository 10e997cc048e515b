package bridge_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestConnHasTheValuesOfItsRequest, those too that a middleware between the Bridge and the handler
// has added.
func TestConnHasTheValuesOfItsRequest(t *testing.T) {
	type key string
	with := func(k, v string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key(k), v)))
		})
	}
	a := testkit.NewApp(t, livestore.New(), nil)
	ws := a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		client, _ := bridge.ClientIDFrom(ctx)
		return c.WriteJSON(ctx, []any{ctx.Value(key("outside")), ctx.Value(key("inside")), client == c.ClientID()})
	}, nil)
	site := webclient.Serve(t, with("outside", "o", a.Handler(with("inside", "i", ws))))
	require.JSONEq(t, `["o","i",true]`, webclient.NewBrowser(t, site).Dial("/").Hear())
	require.JSONEq(t, `["o",null,true]`, webclient.NewBrowser(t, webclient.Serve(t, with("outside", "o", ws))).Dial("/").Hear())
}
