package security_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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

// A response with a renewed token is lost on its way: the browser goes on with its old token, and
// gets the new one later.
func TestS04_RenewalThatIsLostLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		time.Sleep(time.Hour)
		for round := range 3 {
			lost := maps.Clone(p)
			lost.Get(t, h, "/get")
			require.NotEqual(t, p["sid"], lost["sid"], "round %d: a new token was sent", round)
			time.Sleep(5 * time.Second)
			was := p["sid"]
			require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
			require.Equal(t, was, p["sid"], "the response may still be on its way")
			time.Sleep(20 * time.Minute)
		}
		was := p["sid"]
		require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
		require.NotEqual(t, was, p["sid"], "it gets one after all")
		require.Equal(t, "2", p.Get(t, h, "/inc").Body.String(), "which is as good as any")
		require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=ada").Code)
		time.Sleep(time.Minute)
		old := webclient.Pocket{"sid": was, "sid.cid": p["sid.cid"]}
		require.Equal(t, "0", old.Get(t, h, "/get").Body.String(), "the old token opens nothing any more")
	})
}

// After a renewal that is never received the old token is valid for RenewEvery, and no longer.
func TestS04_LostRenewalDoesNotKeepATokenForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		time.Sleep(time.Hour)
		maps.Clone(p).Get(t, h, "/get")
		time.Sleep(time.Hour)
		require.Equal(t, "0", p.Get(t, h, "/get").Body.String())
	})
}

// Requests that were under way when the token was renewed keep their session, although others have
// presented the new token since.
func TestS04_RenewalDisturbsNoRequestThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		a.Mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			testkit.SessionPage(a.Bridge, func(s *bridge.Session) (any, error) { s.Set("uploaded", true); return s.ID(), nil })(w, r)
		})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(time.Hour)
		old := maps.Clone(p)
		for range 3 { // the first renews, the others present what it has brought
			p.Get(t, h, "/get")
			time.Sleep(time.Second)
		}
		require.NotEqual(t, old["sid"], p["sid"])
		was := old["sid"]
		w := old.Send(h, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/upload", strings.NewReader("a long body")))
		require.Equal(t, id, w.Body.String())
		require.Equal(t, was, old["sid"], "and take nothing's place")
		time.Sleep(10 * time.Second)
		require.NotEqual(t, id, old.Get(t, h, "/id").Body.String(), "for as long as the grace after the new one was first presented")
	})
}
