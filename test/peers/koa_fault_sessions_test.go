package peers_test

import (
	"context"
	"math"
	"net/http"
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

func TestKoaFault02_RequestInFlightDuringLogoutBringsNothingBack(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	inside, release := make(chan struct{}), make(chan struct{})
	a.SessionPage("/slow", func(s *bridge.Session) (any, error) {
		s.Get("n")
		close(inside)
		<-release
		s.Set("slow", true)
		return "stored", nil
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	late := br.Another()
	done := make(chan webclient.Reply, 1)
	go func() { done <- late.Get("/slow") }()
	await.Receive(t, inside)
	br.OK("/logout")
	close(release)
	rep := await.Receive(t, done)
	require.Equal(t, http.StatusUnauthorized, rep.Status, "no success for a change that was not stored")
	require.Empty(t, rep.Header["Set-Cookie"], "the browser may have the next session's cookie by now")
	_, err := a.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.Zero(t, teststore.StoredCount(t, st))
}

func TestKoaFault08_ClientCookieAloneOpensNothing(t *testing.T) {
	site := testkit.NewApp(t, livestore.New(), nil).Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	victim := br.OK("/id")
	thief := br.Another()
	thief.SetCookie("sid", "")
	require.NotEmpty(t, thief.Cookie("sid.cid"))
	ws := thief.Dial("/ws")
	require.Equal(t, `""`, ws.Ask("id"))
	require.Contains(t, ws.Ask("inc"), bridge.ErrSessionMissing.Error())
	require.Equal(t, "0", thief.OK("/get"))
	require.NotEqual(t, victim, thief.OK("/id"))
	require.Equal(t, "2", br.OK("/inc"), "the session's own browser noticed nothing")
}

// A copy of a session cookie in another browser neither takes over the mapping nor causes reports
// of ends that haven't happened.
func TestKoaFault09_CopiedSessionCookieStealsNoMapping(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	id := br.OK("/id")
	owner, known := a.ClientIDOf(id)
	require.True(t, known)
	ends := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
	other := webclient.NewBrowser(t, site)
	other.OK("/plain")
	foreign := other.Cookie("sid.cid")
	other.SetCookie("sid", br.Cookie("sid"))
	require.Equal(t, "2", other.OK("/inc"))
	require.Equal(t, "3", br.OK("/inc"))
	require.Equal(t, br.Cookie("sid.cid") != foreign, other.Cookie("sid.cid") != foreign, "healed: it is told the session's client")
	still, _ := a.ClientIDOf(id)
	require.Equal(t, owner, still)
	mapped, _ := a.SessionIDOf(owner)
	require.Equal(t, id, mapped)
	require.EqualValues(t, 1, a.Stats().Mismatches, "reported, once")
	require.Empty(t, ends.Rest())
}

func TestKoaFault10_ByIDMethodsWorkAfterARestart(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	id := br.OK("/id")
	clientID, _ := a.ClientIDOf(id)

	restarted := testkit.NewBridge(t, st, nil)
	s, err := restarted.GetByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, clientID, s.ClientID())
	s, err = restarted.GetByClientID(t.Context(), clientID)
	require.NoError(t, err)
	require.Equal(t, id, s.ID())
	require.NoError(t, restarted.UpdateByClientID(t.Context(), clientID, func(ctx context.Context, s *bridge.Session) error {
		_, err := testkit.Increment(ctx, s)
		return err
	}))
	require.Equal(t, "2", br.OK("/get"))
	was, err := restarted.DestroyByClientID(t.Context(), clientID)
	require.NoError(t, err)
	require.True(t, was)
}

func TestKoaFault12_SocketAndRequestsShareOneIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, nil)
		a.SessionPage("/short", func(s *bridge.Session) (any, error) { s.SetIdleTimeout(time.Hour); return s.ID(), nil })
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/short")
		ws := br.Dial("/ws").Listen()
		for want := 2; want < 6; want++ {
			time.Sleep(50 * time.Minute)
			require.Equal(t, want, testkit.Atoi(t, ws.Ask("inc")))
			require.Equal(t, time.Hour, teststore.Stored(t, st, id).Idle, "a socket's write keeps the session's own timeout")
		}
		time.Sleep(50 * time.Minute)
		require.Equal(t, "5", br.OK("/get"), "a socket's activity counts for requests")
		time.Sleep(50 * time.Minute)
		require.Equal(t, "6", ws.Ask("inc"), "and a request's for sockets")
		require.Equal(t, bridge.CodeExpired, <-ws.WhenClosed())
		require.Equal(t, "0", br.OK("/get"))
	})
}

func TestKoaFault12_NoDurationMakesASessionImmortal(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	id := br.OK("/id")
	before := teststore.Stored(t, st, id)
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
			require.Equal(t, before.Revision, teststore.Stored(t, st, id).Revision, "nothing of it was stored")
		})
	}
}

func TestKoaFault13_FirstRequestOfAFreshBrowserHasEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		sets := testkit.Record[bridge.SessionSet](t, a.Bridge)
		a.Page("/", func(r *http.Request) (any, error) {
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
		visitor := webclient.Pocket{}
		h := a.Handler(a.Mux)
		id := visitor.Get(t, h, "/").Body.String()
		first := sets.Next()
		clientID, known := a.ClientIDOf(id)
		require.True(t, known)
		require.Equal(t, bridge.SessionSet{
			ClientID: clientID, SessionID: id, IsNew: true, IsInit: true, Keys: []string{"at"}, Via: bridge.ViaHTTP,
		}, first)
		time.Sleep(6 * time.Second)
		require.Equal(t, id, visitor.Get(t, h, "/").Body.String())
		require.Equal(t, bridge.SessionSet{ClientID: clientID, SessionID: id, Keys: []string{"at"}, Via: bridge.ViaHTTP}, sets.Next())
		require.Empty(t, sets.Rest())
	})
}
