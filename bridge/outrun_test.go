package bridge_test

import (
	"maps"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A request sets out with the cookie of the moment, and arrives after others that were sent later, with a newer cookie: on a slow line, or a connection that is yet to be made.
// What it would store without a session makes none, whose cookie would take the place of the newer one.
func TestG6_RequestThatIsOutrunOnItsWayTakesNobodysSession(t *testing.T) {
	for name, steps := range map[string][]string{
		"by a rotation whose token was presented":  {"/rotate", "/get"},
		"by two rotations":                         {"/rotate", "/get", "/rotate"},
		"by two logins":                            {"/login?user=ann", "/login?user=ann"},
		"by a rotation and a login":                {"/rotate", "/get", "/login?user=ann"},
		"by a login and a rotation, not presented": {"/login?user=ann", "/rotate"},
	} {
		for _, path := range []string{"/inc", "/incwith"} {
			t.Run(name+" "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := makeApp(t, livestore.New(), nil)
					sleepy(a)
					a.page("/incwith", func(r *http.Request) (any, error) { return bridge.WithSession(r.Context(), a.For(r), increment, nil) })
					h := a.Handler(a.mux)
					p := pocket{}
					require.Equal(t, http.StatusOK, p.get(t, h, "/login?user=ann").Code)
					old := maps.Clone(p)
					for _, step := range steps {
						require.Equal(t, http.StatusOK, p.get(t, h, step).Code)
						time.Sleep(10 * time.Millisecond)
					}
					w := old.get(t, h, "/get")
					require.Equal(t, "0", w.Body.String(), "the old token opens nothing")
					require.Empty(t, w.Header()["Set-Cookie"])
					w = old.get(t, h, path)
					require.Equal(t, http.StatusConflict, w.Code, w.Body)
					require.Empty(t, w.Header()["Set-Cookie"])
					require.Equal(t, "ann", p.get(t, h, "/user").Body.String())

					time.Sleep(10 * time.Second)
					require.Equal(t, "1", old.get(t, h, path).Body.String(), "later it counts as absent")
				})
			})
		}
	}
}
