package bridge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
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

func TestLongerLifeNeverSendsAnOlderToken(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{RotateGrace: bridge.Off})
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	other := webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	a.SessionPage("/remember", func(s *bridge.Session) (any, error) {
		require.Equal(t, http.StatusOK, other.Get(t, h, "/rotate").Code) // meanwhile, in another tab
		s.SetLifetime(60 * 24 * time.Hour)
		return "ok", nil
	})
	w := p.Get(t, h, "/remember")
	require.Equal(t, http.StatusOK, w.Code)
	require.Empty(t, w.Result().Cookies(), "the newer cookie stays")
	require.Equal(t, "1", other.Get(t, h, "/get").Body.String())
}

func TestGorillaKeepsBytesAndDecodesNoGobThatAValueOnlyLooksLike(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	st := a.Gorilla()
	const bytes = "\x1f\x8b\x08\x00\xff"
	a.Page("/save", func(r *http.Request) (any, error) {
		gs, err := st.Get(r, "sid")
		require.NoError(t, err)
		gs.Values["bytes"] = bytes
		return "ok", gs.Save(r, httptest.NewRecorder())
	})
	a.SessionPage("/forge", func(s *bridge.Session) (any, error) {
		s.Set("forged", map[string]any{"$gob": "AAAA"})
		return "ok", nil
	})
	a.Page("/read", func(r *http.Request) (any, error) {
		gs, err := st.Get(r, "sid")
		require.NoError(t, err)
		require.Equal(t, bytes, gs.Values["bytes"])
		require.Equal(t, map[string]any{"$gob": "AAAA"}, gs.Values["forged"])
		return "ok", nil
	})
	h, p := a.Handler(a.Mux), webclient.Pocket{}
	for _, path := range []string{"/save", "/forge", "/read"} {
		require.Equal(t, "ok", p.Get(t, h, path).Body.String(), path)
	}
}

func TestSessionCookieAloneOpensASocket(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	program := br.Another() // keeps the session cookie only
	br.SetCookie("sid", "")
	br.OK("/inc") // and the client has a newer session
	program.SetCookie("sid.cid", "")
	require.Equal(t, "2", program.Dial("/ws").Ask("inc"))
}

func TestAttachMeetsASessionThatTheClientGotMeanwhile(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/plain")
	other := webclient.Pocket{"sid.cid": p["sid.cid"]}
	closed := make(chan int, 1)
	a.Page("/stream", func(r *http.Request) (any, error) {
		other.Get(t, h, "/inc") // between the request's arrival and Attach
		l, err := a.Attach(r, func(code int, _ string) { closed <- code })
		require.NoError(t, err)
		defer l.Detach()
		return await.Receive(t, closed), nil
	})
	require.Equal(t, "4001", p.Get(t, h, "/stream").Body.String())
}

func TestNestingGoesByWhatWasProvedNotByWhatWasPresented(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{RotateGrace: bridge.Off})
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	id := p.Get(t, h, "/id").Body.String()
	thief := webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	p.Get(t, h, "/login?user=ada")
	a.Page("/nested", func(r *http.Request) (any, error) {
		return "in", a.UpdateByID(r.Context(), id, func(ctx context.Context, _ *bridge.Session) error {
			return a.WithSession(r.WithContext(ctx), func(context.Context, *bridge.Session) error { return nil }, nil)
		})
	})
	require.Contains(t, thief.Get(t, h, "/nested").Body.String(), bridge.ErrNested.Error())
	require.Equal(t, "in", p.Get(t, h, "/nested").Body.String())
}

func TestCookiesOfWhatIsStoredSurviveAFailureAndAPanic(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{RotateGrace: bridge.Off})
	rotate := func(r *http.Request) {
		require.NoError(t, a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Rotate() }, nil))
	}
	a.Mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) {
		rotate(r)
		require.Len(t, a.HandshakeHeader(r)["Set-Cookie"], 2)
		require.Len(t, a.HandshakeHeader(r)["Set-Cookie"], 2, "as often as it is asked for")
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("late", true)
		st.Next(1, "Set", teststore.Refuse(teststore.ErrOutage))
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	a.Mux.HandleFunc("/panics", func(_ http.ResponseWriter, r *http.Request) {
		rotate(r)
		panic("the handler's own")
	})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		a.Handler(a.Mux).ServeHTTP(w, r)
	})
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	require.Equal(t, http.StatusServiceUnavailable, p.Get(t, h, "/fails").Code)
	require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
	require.Equal(t, http.StatusInternalServerError, p.Get(t, h, "/panics").Code)
	require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
}

func TestClientCookieIsRolledBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{StrictBinding: true, ClientMaxAge: time.Hour})
		h, p := a.Handler(a.Mux), webclient.Pocket{}
		for want := range 10 {
			require.Equal(t, want+1, testkit.Atoi(t, p.Get(t, h, "/inc").Body.String()))
			time.Sleep(35 * time.Minute)
		}
	})
	_, err := bridge.New(livestore.New(), &bridge.Options{StrictBinding: true, ClientRollEvery: bridge.Off})
	require.ErrorContains(t, err, "Options.ClientRollEvery")
}

// A store that lets its records go by itself, and can't say which.
func TestClientMapForgetsWhatAStoreHasDroppedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, teststore.Minimal{Store: st}, &bridge.Options{IdleTimeout: time.Hour})
		h := a.Handler(a.Mux)
		for range 50 {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		keep := webclient.Pocket{}
		keep.Get(t, h, "/inc")
		for range 6 {
			time.Sleep(30 * time.Minute)
			_, err := st.Sweep(t.Context(), time.Now(), 1000)
			require.NoError(t, err)
			keep.Get(t, h, "/inc")
		}
		require.Equal(t, 1, a.Stats().Attached)
		require.Equal(t, "8", keep.Get(t, h, "/inc").Body.String())
	})
}

func TestFollowingSocketMeetsTheNewestSession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow, EagerClient: true})
	var once func()
	br := webclient.NewBrowser(t, webclient.Serve(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() { once() })))
	br.OK("/plain")
	once = func() { br.OK("/inc") } // during the handshake
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
}

func TestClearAndDeleteMakeNoSession(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	a.SessionPage("/nothing", func(s *bridge.Session) (any, error) {
		s.Clear()
		s.Delete("k")
		return "ok", nil
	})
	p := webclient.Pocket{}
	require.Equal(t, "ok", p.Get(t, a.Handler(a.Mux), "/nothing").Body.String())
	require.Zero(t, teststore.StoredCount(t, st))
	require.NotContains(t, p, "sid")
}
