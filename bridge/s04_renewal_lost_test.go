package bridge_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A browser that leaves a page before its answer has come never sees the new token, and would lose the session once the old one's grace is over.
func TestS04_ResponseThatNobodyGetsRenewsNothing(t *testing.T) {
	for name, around := range map[string]func(http.Handler) http.Handler{
		"the client has hung up": func(next http.Handler) http.Handler { return next },
		"its time is up": func(next http.Handler) http.Handler {
			return http.TimeoutHandler(next, 50*time.Millisecond, "too late")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := makeApp(t, livestore.New(), renewing())
				a.session("/slow", func(*bridge.Session) (any, error) { time.Sleep(time.Second); return "slow", nil })
				h := around(a.Handler(a.mux))
				p := pocket{}
				p.get(t, h, "/inc")
				time.Sleep(time.Hour)
				ctx, hangUp := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer hangUp()
				gone := maps.Clone(p) // what it would get is lost
				gone.send(h, httptest.NewRequestWithContext(ctx, http.MethodGet, "/slow", nil))
				time.Sleep(11 * time.Second)
				require.Equal(t, "1", p.get(t, h, "/get").Body.String(), "the browser still has the token that is good")
			})
		})
	}
}

// A shared cache may ignore Vary: whoever it gives the response to would have the session.
func TestS16_ResponseForSharedCachesRenewsNothing(t *testing.T) {
	for control, renews := range map[string]bool{
		"public, max-age=60": false, "s-maxage=60": false, "Public": false,
		"private, max-age=60": true, "no-store": true, "": true,
	} {
		synctest.Test(t, func(t *testing.T) {
			a := makeApp(t, livestore.New(), renewing())
			a.mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				if control != "" {
					w.Header().Set("Cache-Control", control)
				}
				_, err := a.Session(r)
				require.NoError(t, err)
			})
			h := a.Handler(a.mux)
			p := pocket{}
			p.get(t, h, "/inc")
			time.Sleep(time.Hour)
			before := p["sid"]
			p.get(t, h, "/page")
			require.Equal(t, renews, before != p["sid"], control)
			p.get(t, h, "/get")
			require.NotEqual(t, before, p["sid"], "it is put off, not left out")
			require.Equal(t, "1", p.get(t, h, "/get").Body.String())
		})
	}
}

// Without the grace, a request from before the login would count as one without a session, and its new cookie would take the place of the login's.
func TestS04_RenewalLeavesALoginItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Second, RotateGrace: 10 * time.Second})
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		before := maps.Clone(p)
		p.get(t, h, "/login?user=ada")
		token := p["sid"]
		time.Sleep(2 * time.Second)
		p.get(t, h, "/get")
		require.Equal(t, token, p["sid"])
		w := before.get(t, h, "/inc")
		require.Equal(t, http.StatusConflict, w.Code)
		require.Empty(t, w.Header()["Set-Cookie"])
		time.Sleep(8 * time.Second)
		p.get(t, h, "/get")
		require.NotEqual(t, token, p["sid"], "it is put off, not left out")
		require.Equal(t, "1", p.get(t, h, "/get").Body.String())
	})
}
