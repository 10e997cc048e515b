package guarantees_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG6_RotationWithoutAGap_LoginEndsTheOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, nil)
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		old := webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
		require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=ada").Code)
		require.NotEqual(t, old["sid"], p["sid"])
		require.Equal(t, "ada", teststore.Stored(t, st, id).UserID)

		w := old.Get(t, h, "/get")
		require.Equal(t, http.StatusConflict, w.Code, "a request on its way says to come back")
		require.Empty(t, w.Header()["Set-Cookie"], "it would overwrite the newer cookie")
		time.Sleep(11 * time.Second)
		w = old.Get(t, h, "/get")
		require.Equal(t, "0", w.Body.String(), "later it is no session's token at all")
		require.NotEqual(t, id, old.Get(t, h, "/id").Body.String())
		require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
		require.Equal(t, id, p.Get(t, h, "/id").Body.String(), "the session's handle stays")
	})
}

func TestG6_RotationWithoutAGap_LoginCutsSocketsUntilTheyProveTheNewToken(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	loggedIn, goOn := make(chan struct{}), make(chan struct{})
	a.Mux.HandleFunc("/slowlogin", func(w http.ResponseWriter, r *http.Request) {
		_ = a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login("ada") }, nil)
		close(loggedIn)
		<-goOn
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	var wg sync.WaitGroup
	wg.Go(func() { br.Get("/slowlogin") })
	<-loggedIn
	require.Equal(t, `""`, ws.Ask("id"), "at once, while the answer with the new cookie is still on its way")
	require.Contains(t, ws.Ask("inc"), bridge.ErrSessionMissing.Error())
	close(goOn)
	require.Equal(t, bridge.CodeReconnect, ws.Closed())
	wg.Wait()
	require.Equal(t, "3", br.Dial("/ws").Ask("inc"))
}

func TestG6_RotationWithoutAGap_CutSocketsAreClosedWithinFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		goOn := make(chan struct{})
		a.Mux.HandleFunc("/hanginglogin", func(w http.ResponseWriter, r *http.Request) {
			_ = a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login("ada") }, nil)
			<-goOn
		})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/ws")
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { br.Get("/hanginglogin") })
		require.Equal(t, bridge.CodeReconnect, ws.Closed())
		require.LessOrEqual(t, time.Since(start), 5*time.Second)
		close(goOn)
		wg.Wait()
	})
}

func TestG6_RotationWithoutAGap_ChangeInFlightIsRefused(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	sl := newSlow()
	a.Mux.Handle("/slow", sl.socket(a))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	br.Dial("/slow")
	<-sl.inside
	br.OK("/login?user=ada")
	close(sl.goOn)
	require.ErrorIs(t, <-sl.result, bridge.ErrTokenRotated, "not dropped with success")
	s, err := a.GetByID(t.Context(), br.OK("/id"))
	require.NoError(t, err)
	_, late := s.Get("late")
	require.False(t, late)
}

func TestG6_RotationWithoutAGap_PlainRotationKeepsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		h := a.Handler(a.Mux)
		br := webclient.NewBrowser(t, webclient.ServeInMemory(t, h))
		br.OK("/inc")
		ws := br.Dial("/ws")
		inFlight := webclient.Pocket{"sid": br.Cookie("sid"), "sid.cid": br.Cookie("sid.cid")}
		late := webclient.Pocket{"sid": br.Cookie("sid"), "sid.cid": br.Cookie("sid.cid")}
		br.OK("/rotate")
		require.Equal(t, "2", ws.Ask("inc"))
		require.Equal(t, "3", inFlight.Get(t, h, "/inc").Body.String(), "the previous token works until the new one is presented")
		require.Equal(t, http.StatusConflict, inFlight.Get(t, h, "/rotate").Code, "but it can't rotate")
		require.Equal(t, "4", br.OK("/inc"))
		require.Equal(t, "0", late.Get(t, h, "/get").Body.String(), "the new one has been presented")
		require.Equal(t, "5", ws.Ask("inc"))
	})
}

func TestG6_RotationWithoutAGap_OfTwoAtOnceOneWins(t *testing.T) {
	for _, both := range [][2]string{{"/rotate", "/rotate"}, {"/login?user=ada", "/login?user=bob"}, {"/login?user=ada", "/rotate"}} {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		h := a.Handler(a.Mux)
		first := webclient.Pocket{}
		first.Get(t, h, "/inc")
		second := webclient.Pocket{"sid": first["sid"], "sid.cid": first["sid.cid"]}
		g := teststore.NewGate()
		st.Next(1, "Set", g.Wait)
		var wg sync.WaitGroup
		codes := make([]int, 2)
		wg.Go(func() { codes[0] = first.Get(t, h, both[0]).Code })
		<-g.Reached // the first has loaded the session and is about to store its new token
		loads := st.Count("Get")
		wg.Go(func() { codes[1] = second.Get(t, h, both[1]).Code })
		require.Eventually(t, func() bool { return st.Count("Get") > loads }, await.Limit, time.Millisecond)
		close(g.Opened)
		wg.Wait()
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusConflict}, codes, both)
		require.NotEqual(t, first["sid"], second["sid"], "the loser sends no session cookie")
		winner := first
		if codes[0] != http.StatusOK {
			winner = second
		}
		require.Equal(t, "2", winner.Get(t, h, "/inc").Body.String(), both)
	}
}
