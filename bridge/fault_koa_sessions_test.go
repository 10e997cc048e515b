package bridge_test

import (
	"context"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestKoaFault02_RequestInFlightDuringLogoutBringsNothingBack(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	inside, release := make(chan struct{}), make(chan struct{})
	a.session("/slow", func(s *bridge.Session) (any, error) {
		s.Get("n")
		close(inside)
		<-release
		s.Set("slow", true)
		return "stored", nil
	})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	late := br.another()
	done := make(chan reply, 1)
	go func() { done <- late.get("/slow") }()
	receive(t, inside)
	br.ok("/logout")
	close(release)
	rep := receive(t, done)
	require.Equal(t, http.StatusUnauthorized, rep.status, "no success for a change that was not stored")
	require.Empty(t, rep.header["Set-Cookie"], "the browser may have the next session's cookie by now")
	_, err := a.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.Zero(t, storedCount(t, st))
}

func TestKoaFault08_ClientCookieAloneOpensNothing(t *testing.T) {
	site := makeApp(t, livestore.New(), nil).serve(t)
	br := newBrowser(t, site)
	br.ok("/inc")
	victim := br.ok("/id")
	thief := br.another()
	thief.setCookie("sid", "")
	require.NotEmpty(t, thief.cookie("sid.cid"))
	ws := thief.dial("/ws")
	require.Equal(t, `""`, ws.ask("id"))
	require.Contains(t, ws.ask("inc"), bridge.ErrSessionMissing.Error())
	require.Equal(t, "0", thief.ok("/get"))
	require.NotEqual(t, victim, thief.ok("/id"))
	require.Equal(t, "2", br.ok("/inc"), "the session's own browser noticed nothing")
}

// A copy of a session cookie in another browser neither takes over the mapping nor reports ends that haven't happened.
func TestKoaFault09_CopiedSessionCookieStealsNoMapping(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	site := a.serve(t)
	br := newBrowser(t, site)
	br.ok("/inc")
	id := br.ok("/id")
	owner, known := a.ClientIDOf(id)
	require.True(t, known)
	ends := record[bridge.SessionDestroy](t, a.Bridge)
	other := newBrowser(t, site)
	other.ok("/plain")
	foreign := other.cookie("sid.cid")
	other.setCookie("sid", br.cookie("sid"))
	require.Equal(t, "2", other.ok("/inc"))
	require.Equal(t, "3", br.ok("/inc"))
	require.Equal(t, br.cookie("sid.cid") != foreign, other.cookie("sid.cid") != foreign, "healed: it is told the session's client")
	still, _ := a.ClientIDOf(id)
	require.Equal(t, owner, still)
	mapped, _ := a.SessionIDOf(owner)
	require.Equal(t, id, mapped)
	require.EqualValues(t, 1, a.Stats().Mismatches, "reported, once")
	require.Empty(t, ends.rest())
}

func TestKoaFault10_ByIDMethodsWorkAfterARestart(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	site := a.serve(t)
	br := newBrowser(t, site)
	br.ok("/inc")
	id := br.ok("/id")
	clientID, _ := a.ClientIDOf(id)

	restarted := newBridge(t, st, nil)
	s, err := restarted.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, clientID, s.ClientID())
	s, err = restarted.GetByClientID(t.Context(), clientID)
	require.NoError(t, err)
	require.Equal(t, id, s.ID())
	require.NoError(t, restarted.UpdateByClientID(t.Context(), clientID, func(ctx context.Context, s *bridge.Session) error {
		_, err := increment(ctx, s)
		return err
	}))
	require.Equal(t, "2", br.ok("/get"))
	was, err := restarted.DestroyByClientID(t.Context(), clientID)
	require.NoError(t, err)
	require.True(t, was)
}

func TestKoaFault12_SocketAndRequestsShareOneIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, nil)
		a.session("/short", func(s *bridge.Session) (any, error) { s.SetIdleTimeout(time.Hour); return s.ID(), nil })
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		id := br.ok("/short")
		ws := br.dial("/ws").listen()
		for want := 2; want < 6; want++ {
			time.Sleep(50 * time.Minute)
			require.Equal(t, want, atoi(t, ws.ask("inc")))
			require.Equal(t, time.Hour, stored(t, st, id).Idle, "a socket's write keeps the session's own timeout")
		}
		time.Sleep(50 * time.Minute)
		require.Equal(t, "5", br.ok("/get"), "a socket's activity counts for requests")
		time.Sleep(50 * time.Minute)
		require.Equal(t, "6", ws.ask("inc"), "and a request's for sockets")
		require.Equal(t, bridge.CodeExpired, <-ws.whenClosed())
		require.Equal(t, "0", br.ok("/get"))
	})
}

func TestKoaFault12_NoDurationMakesASessionImmortal(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	site := a.serve(t)
	br := newBrowser(t, site)
	br.ok("/inc")
	id := br.ok("/id")
	before := stored(t, st, id)
	nan := math.NaN()
	for name, d := range map[string]time.Duration{
		"0": 0, "-2": -2, "1 ns": 1, "1 µs": time.Microsecond, "just too little": time.Millisecond - 1,
		"least": math.MinInt64, "most": math.MaxInt64, "over 100 years": 100*365*24*time.Hour + 1, "not a number": time.Duration(nan),
	} {
		t.Run(name, func(t *testing.T) {
			for field, set := range map[string]func(*bridge.Session, time.Duration){
				"IdleTimeout": (*bridge.Session).SetIdleTimeout, "Lifetime": (*bridge.Session).SetLifetime,
			} {
				err := a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
					s.Set("beside", 1)
					set(s, d)
					return nil
				})
				require.ErrorContains(t, err, field)
			}
			if d != 0 { // which keeps the timeout
				require.ErrorContains(t, a.SetByID(t.Context(), id, map[string]any{"beside": 1}, d), "IdleTimeout")
			}
			require.Equal(t, before.Revision, stored(t, st, id).Revision, "nothing of it was stored")
		})
	}
}

func TestKoaFault13_FirstRequestOfAFreshBrowserHasEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		sets := record[bridge.SessionSet](t, a.Bridge)
		a.page("/", func(r *http.Request) (any, error) {
			s, err := a.Session(r)
			if err != nil {
				return nil, err
			}
			require.NotEmpty(t, s.ID())
			require.NotEmpty(t, s.ClientID())
			id, ok := bridge.SessionIDFrom(r.Context())
			require.True(t, ok)
			require.Equal(t, s.ID(), id)
			clientID, ok := bridge.ClientIDFrom(r.Context())
			require.True(t, ok)
			require.Equal(t, s.ClientID(), clientID)
			s.Set("at", time.Now().UnixNano())
			return s.ID(), nil
		})
		visitor := pocket{}
		h := a.Handler(a.mux)
		id := visitor.get(t, h, "/").Body.String()
		first := sets.next()
		clientID, known := a.ClientIDOf(id)
		require.True(t, known)
		require.Equal(t, bridge.SessionSet{
			ClientID: clientID, SessionID: id, IsNew: true, IsInit: true, Keys: []string{"at"}, Via: bridge.ViaHTTP,
		}, first)
		time.Sleep(6 * time.Second)
		require.Equal(t, id, visitor.get(t, h, "/").Body.String())
		require.Equal(t, bridge.SessionSet{ClientID: clientID, SessionID: id, Keys: []string{"at"}, Via: bridge.ViaHTTP}, sets.next())
		require.Empty(t, sets.rest())
	})
}
