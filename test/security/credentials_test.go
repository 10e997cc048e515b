package security_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A cache that doesn't know which header TokenFrom reads would give one client's response to
// another.
func TestS16_ResponseToATokenFromNobodyKnowsWhereIsForNobodyElse(t *testing.T) {
	opts := tokens()
	opts.TokenFrom = func(r *http.Request) (string, bool) { return r.Header.Get("X-Mine"), true }
	a := testkit.NewApp(t, livestore.New(), opts)
	a.Mux.HandleFunc("/kept", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, err := a.Session(r)
		require.NoError(t, err)
	})
	rep := newNative(t, a.Serve(t)).br.Get("/kept")
	require.Equal(t, "max-age=60", rep.Header.Get("Cache-Control"))
	require.Equal(t, []string{"*"}, rep.Header["Vary"])
}

// Bridges on one store share the namespace of tickets. The outer one opens its session with every
// request.
func TestS08_TicketIsNotRedeemedByAnotherBridge(t *testing.T) {
	st := livestore.New()
	outer := testkit.NewBridge(t, st.App("outer"), &bridge.Options{Name: "out"})
	a := testkit.NewTicketApp(t, st.App("inner"), &bridge.Options{Name: "in"})
	inner := a.Handler(a.Mux)
	br := webclient.NewBrowser(t, webclient.Serve(t, outer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = outer.Session(r)
		inner.ServeHTTP(w, r)
	}))))
	br.OK("/inc")
	ws, _, err := br.DialTicket("/ws", br.OK("/ticket"))
	require.NoError(t, err)
	require.Equal(t, "2", ws.Ask("inc"))
}

// Contexts are printed in logs.
func TestS15_ContextShowsNoSecretWhenPrinted(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), tokens())
	printed := make(chan string, 1)
	a.Mux.HandleFunc("/print", func(_ http.ResponseWriter, r *http.Request) {
		_, err := a.Session(r)
		require.NoError(t, err)
		printed <- fmt.Sprintf("%v %+v %#v %s", r.Context(), r.Context(), r.Context(), r.Context())
	})
	n := newNative(t, a.Serve(t))
	n.ok("/inc")
	n.ok("/print")
	require.Equal(t, "bridge.request bridge.request bridge.request bridge.request", await.Receive(t, printed))
}
