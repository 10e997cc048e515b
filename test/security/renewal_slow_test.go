package security_test

import (
	"maps"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A late answer to a request with the old token doesn't mean that the response with the new token
// was lost: the browser may have the new token, and the late answer doesn't replace it.
func TestS04_SlowRequestDoesNotReplaceATokenThatTheBrowserHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		slow := testkit.SessionPage(a.Bridge, func(s *bridge.Session) (any, error) {
			time.Sleep(20 * time.Second) // a long poll
			return s.ID(), nil
		})
		a.Mux.HandleFunc("/poll", slow)
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(time.Hour)
		poll := maps.Clone(p) // a page begins both at once
		p.Get(t, h, "/get")
		require.NotEqual(t, poll["sid"], p["sid"])
		w := poll.Get(t, h, "/poll") // its response gets lost
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, id, w.Body.String())
		require.Equal(t, id, p.Get(t, h, "/id").Body.String())
	})
}

// The same holds for a request that took long to arrive.
func TestS04_SlowUploadDoesNotReplaceATokenThatTheBrowserHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		open := testkit.SessionPage(a.Bridge, func(s *bridge.Session) (any, error) { return s.ID(), nil })
		a.Mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(20 * time.Second) // reading it
			open(w, r)
		})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(time.Hour)
		upload, uploaded := maps.Clone(p), make(chan string)
		go func() { uploaded <- upload.Get(t, h, "/upload").Body.String() }()
		synctest.Wait()
		p.Get(t, h, "/get")
		require.NotEqual(t, upload["sid"], p["sid"])
		require.Equal(t, id, <-uploaded)
		require.Equal(t, id, p.Get(t, h, "/id").Body.String())
	})
}
