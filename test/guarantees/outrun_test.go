package guarantees_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A request with the current cookie arrives after later requests with a newer cookie, because of a
// slow line or a new connection. It creates no session, whose cookie would replace the newer one,
// and its logout doesn't remove the newer cookie.
func TestG6_RequestThatIsOutrunOnItsWayTakesNobodysSession(t *testing.T) {
	for name, steps := range map[string][]string{
		"by a rotation whose token was presented":  {"/rotate", "/get"},
		"by two rotations":                         {"/rotate", "/get", "/rotate"},
		"by two logins":                            {"/login?user=ann", "/login?user=ann"},
		"by a rotation and a login":                {"/rotate", "/get", "/login?user=ann"},
		"by a login and a rotation, not presented": {"/login?user=ann", "/rotate"},
	} {
		for _, path := range []string{"/inc", "/incwith", "/logout", "/sleepylogout"} {
			t.Run(name+" "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := testkit.NewApp(t, livestore.New(), nil)
					testkit.SleepyPages(a)
					a.Page("/incwith", func(r *http.Request) (any, error) {
						return bridge.WithSession(r.Context(), a.For(r), testkit.Increment, nil)
					})
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=ann").Code)
					old := maps.Clone(p)
					for _, step := range steps {
						require.Equal(t, http.StatusOK, p.Get(t, h, step).Code)
						time.Sleep(10 * time.Millisecond)
					}
					w := old.Get(t, h, "/get")
					require.Equal(t, "0", w.Body.String(), "the old token opens nothing")
					require.Empty(t, w.Header()["Set-Cookie"])
					w = old.Get(t, h, path)
					require.Equal(t, http.StatusConflict, w.Code, w.Body)
					require.Empty(t, w.Header()["Set-Cookie"])
					require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())

					time.Sleep(10 * time.Second)
					w = old.Get(t, h, path)
					require.Equal(t, http.StatusOK, w.Code, "later it counts as absent")
					require.Equal(t, strings.HasPrefix(path, "/inc"), w.Header()["Set-Cookie"] != nil)
					require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())
				})
			})
		}
	}
}
