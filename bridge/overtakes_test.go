package bridge_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// A stranger has a copy of the client cookie, and an account of their own, to which they log in all
// the time.
func TestG10_CopiedClientCookieKeepsNobodyFromLoggingIn(t *testing.T) {
	for name, newStore := range map[string]func() store.Store{
		"one node": func() store.Store { return livestore.New() },
		"a node":   func() store.Store { return newHub() },
	} {
		for _, page := range []string{"/slow?user=ann", "/loginwith?user=ann", "/sleepyset?before=300ms"} {
			t.Run(name+page, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := makeApp(t, newStore(), nil)
					loginPages(a)
					slowLogins(a)
					a.mux.HandleFunc("/sleepyset", func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(300 * time.Millisecond)
						s, err := a.Session(r)
						if err != nil {
							a.WriteError(w, r, err)
							return
						}
						s.Set("k", 1)
					})
					h := a.Handler(a.mux)
					p := pocket{}
					p.get(t, h, "/inc")
					p.get(t, h, "/logout")
					stranger := pocket{"sid.cid": p["sid.cid"]}
					over := make(chan struct{})
					done := make(chan struct{})
					go func() {
						defer close(done)
						for {
							select {
							case <-over:
								return
							case <-time.After(50 * time.Millisecond):
								mine := pocket{"sid.cid": stranger["sid.cid"]}
								mine.get(t, h, "/login?user=eve")
							}
						}
					}()
					defer func() { close(over); <-done }()
					refused := 0
					for p.get(t, h, page).Code != http.StatusOK {
						refused++
						require.Less(t, refused, 20)
						time.Sleep(time.Second)
					}
					require.NotEmpty(t, p["sid"])
				})
			})
		}
	}
}

// However many requests one login overtakes, none of them takes its place.
func TestG6_OneLoginOvertakesAnyNumberOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		sleepy(a)
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		p.get(t, h, "/logout")
		var late []inFlight
		for range 100 {
			late = append(late, p.begin(t, h, "/sleepyset?before=1s"))
		}
		time.Sleep(time.Millisecond)
		require.Equal(t, http.StatusOK, p.get(t, h, "/login?user=ann").Code)
		for _, f := range late {
			require.Equal(t, http.StatusConflict, p.arrive(f).Code)
		}
		require.Equal(t, "ann", p.get(t, h, "/user").Body.String())
	})
}
