package bridge_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG6_RotationWithoutAGap_LoginEndsTheOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, nil)
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		id := p.get(t, h, "/id").Body.String()
		old := pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
		require.Equal(t, http.StatusOK, p.get(t, h, "/login?user=ada").Code)
		require.NotEqual(t, old["sid"], p["sid"])
		require.Equal(t, "ada", stored(t, st, id).UserID)

		w := old.get(t, h, "/get")
		require.Equal(t, http.StatusConflict, w.Code, "a request on its way says to come back")
		require.Empty(t, w.Header()["Set-Cookie"], "it would overwrite the newer cookie")
		time.Sleep(11 * time.Second)
		w = old.get(t, h, "/get")
		require.Equal(t, "0", w.Body.String(), "later it is no session's token at all")
		require.NotEqual(t, id, old.get(t, h, "/id").Body.String())
		require.Equal(t, "1", p.get(t, h, "/get").Body.String())
		require.Equal(t, id, p.get(t, h, "/id").Body.String(), "the session's handle stays")
	})
}

func TestG6_RotationWithoutAGap_LoginCutsSocketsUntilTheyProveTheNewToken(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	loggedIn, goOn := make(chan struct{}), make(chan struct{})
	a.mux.HandleFunc("/slowlogin", func(w http.ResponseWriter, r *http.Request) {
		_ = a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login("ada") }, nil)
		close(loggedIn)
		<-goOn
	})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	ws := br.dial("/ws")
	require.Equal(t, "2", ws.ask("inc"))
	var wg sync.WaitGroup
	wg.Go(func() { br.get("/slowlogin") })
	<-loggedIn
	require.Equal(t, `""`, ws.ask("id"), "at once, while the answer with the new cookie is still on its way")
	require.Contains(t, ws.ask("inc"), bridge.ErrSessionMissing.Error())
	close(goOn)
	require.Equal(t, bridge.CodeReconnect, ws.closed())
	wg.Wait()
	require.Equal(t, "3", br.dial("/ws").ask("inc"))
}

func TestG6_RotationWithoutAGap_CutSocketsAreClosedWithinFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		goOn := make(chan struct{})
		a.mux.HandleFunc("/hanginglogin", func(w http.ResponseWriter, r *http.Request) {
			_ = a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login("ada") }, nil)
			<-goOn
		})
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/ws")
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { br.get("/hanginglogin") })
		require.Equal(t, bridge.CodeReconnect, ws.closed())
		require.LessOrEqual(t, time.Since(start), 5*time.Second)
		close(goOn)
		wg.Wait()
	})
}

func TestG6_RotationWithoutAGap_ChangeInFlightIsRefused(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	sl := newSlow()
	a.mux.Handle("/slow", sl.socket(a))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	br.dial("/slow")
	<-sl.inside
	br.ok("/login?user=ada")
	close(sl.goOn)
	require.ErrorIs(t, <-sl.result, bridge.ErrTokenRotated, "not dropped with success")
	s, err := a.GetByID(t.Context(), br.ok("/id"))
	require.NoError(t, err)
	_, late := s.Get("late")
	require.False(t, late)
}

func TestG6_RotationWithoutAGap_PlainRotationKeepsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		h := a.Handler(a.mux)
		br := newBrowser(t, serveInMemory(t, h))
		br.ok("/inc")
		ws := br.dial("/ws")
		inFlight := pocket{"sid": br.cookie("sid"), "sid.cid": br.cookie("sid.cid")}
		late := pocket{"sid": br.cookie("sid"), "sid.cid": br.cookie("sid.cid")}
		br.ok("/rotate")
		require.Equal(t, "2", ws.ask("inc"))
		require.Equal(t, "3", inFlight.get(t, h, "/inc").Body.String(), "the previous token works until the new one is presented")
		require.Equal(t, http.StatusConflict, inFlight.get(t, h, "/rotate").Code, "but it can't rotate")
		require.Equal(t, "4", br.ok("/inc"))
		require.Equal(t, "0", late.get(t, h, "/get").Body.String(), "the new one has been presented")
		require.Equal(t, "5", ws.ask("inc"))
	})
}

func TestG6_RotationWithoutAGap_OfTwoAtOnceOneWins(t *testing.T) {
	for _, both := range [][2]string{{"/rotate", "/rotate"}, {"/login?user=ada", "/login?user=bob"}, {"/login?user=ada", "/rotate"}} {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		h := a.Handler(a.mux)
		first := pocket{}
		first.get(t, h, "/inc")
		second := pocket{"sid": first["sid"], "sid.cid": first["sid.cid"]}
		g := newGate()
		st.next(1, "Set", g.wait)
		var wg sync.WaitGroup
		codes := make([]int, 2)
		wg.Go(func() { codes[0] = first.get(t, h, both[0]).Code })
		<-g.reached // the first has loaded the session and is about to store its new token
		loads := st.count("Get")
		wg.Go(func() { codes[1] = second.get(t, h, both[1]).Code })
		require.Eventually(t, func() bool { return st.count("Get") > loads }, patience, time.Millisecond)
		close(g.opened)
		wg.Wait()
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusConflict}, codes, both)
		require.NotEqual(t, first["sid"], second["sid"], "the loser sends no session cookie")
		winner := first
		if codes[0] != http.StatusOK {
			winner = second
		}
		require.Equal(t, "2", winner.get(t, h, "/inc").Body.String(), both)
	}
}
