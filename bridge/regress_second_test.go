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
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestLongerLifeNeverSendsAnOlderToken(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{RotateGrace: bridge.Off})
	h := a.Handler(a.mux)
	p := pocket{}
	p.get(t, h, "/inc")
	other := pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	a.session("/remember", func(s *bridge.Session) (any, error) {
		require.Equal(t, http.StatusOK, other.get(t, h, "/rotate").Code) // meanwhile, in another tab
		s.SetLifetime(60 * 24 * time.Hour)
		return "ok", nil
	})
	w := p.get(t, h, "/remember")
	require.Equal(t, http.StatusOK, w.Code)
	require.Empty(t, w.Result().Cookies(), "the newer cookie stays")
	require.Equal(t, "1", other.get(t, h, "/get").Body.String())
}

func TestGorillaKeepsBytesAndDecodesNoGobThatAValueOnlyLooksLike(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	st := a.Gorilla()
	const bytes = "\x1f\x8b\x08\x00\xff"
	a.page("/save", func(r *http.Request) (any, error) {
		gs, err := st.Get(r, "sid")
		require.NoError(t, err)
		gs.Values["bytes"] = bytes
		return "ok", gs.Save(r, httptest.NewRecorder())
	})
	a.session("/forge", func(s *bridge.Session) (any, error) {
		s.Set("forged", map[string]any{"$gob": "AAAA"})
		return "ok", nil
	})
	a.page("/read", func(r *http.Request) (any, error) {
		gs, err := st.Get(r, "sid")
		require.NoError(t, err)
		require.Equal(t, bytes, gs.Values["bytes"])
		require.Equal(t, map[string]any{"$gob": "AAAA"}, gs.Values["forged"])
		return "ok", nil
	})
	h, p := a.Handler(a.mux), pocket{}
	for _, path := range []string{"/save", "/forge", "/read"} {
		require.Equal(t, "ok", p.get(t, h, path).Body.String(), path)
	}
}

func TestSessionCookieAloneOpensASocket(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	program := br.another() // keeps the session cookie only
	br.setCookie("sid", "")
	br.ok("/inc") // and the client has a newer session
	program.setCookie("sid.cid", "")
	require.Equal(t, "2", program.dial("/ws").ask("inc"))
}

func TestAttachMeetsASessionThatTheClientGotMeanwhile(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	h := a.Handler(a.mux)
	p := pocket{}
	p.get(t, h, "/plain")
	other := pocket{"sid.cid": p["sid.cid"]}
	closed := make(chan int, 1)
	a.page("/stream", func(r *http.Request) (any, error) {
		other.get(t, h, "/inc") // between the request's arrival and Attach
		l, err := a.Attach(r, func(code int, _ string) { closed <- code })
		require.NoError(t, err)
		defer l.Detach()
		return receive(t, closed), nil
	})
	require.Equal(t, "4001", p.get(t, h, "/stream").Body.String())
}

func TestNestingGoesByWhatWasProvedNotByWhatWasPresented(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{RotateGrace: bridge.Off})
	h := a.Handler(a.mux)
	p := pocket{}
	p.get(t, h, "/inc")
	id := p.get(t, h, "/id").Body.String()
	thief := pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	p.get(t, h, "/login?user=ada")
	a.page("/nested", func(r *http.Request) (any, error) {
		return "in", a.UpdateByID(r.Context(), id, func(ctx context.Context, _ *bridge.Session) error {
			return a.WithSession(r.WithContext(ctx), func(context.Context, *bridge.Session) error { return nil }, nil)
		})
	})
	require.Contains(t, thief.get(t, h, "/nested").Body.String(), bridge.ErrNested.Error())
	require.Equal(t, "in", p.get(t, h, "/nested").Body.String())
}

func TestCookiesOfWhatIsStoredSurviveAFailureAndAPanic(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{RotateGrace: bridge.Off})
	rotate := func(r *http.Request) {
		require.NoError(t, a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Rotate() }, nil))
	}
	a.mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) {
		rotate(r)
		require.Len(t, a.HandshakeHeader(r)["Set-Cookie"], 2)
		require.Len(t, a.HandshakeHeader(r)["Set-Cookie"], 2, "as often as it is asked for")
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("late", true)
		st.next(1, "Set", refuse(errOutage))
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	a.mux.HandleFunc("/panics", func(_ http.ResponseWriter, r *http.Request) {
		rotate(r)
		panic("the handler's own")
	})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		a.Handler(a.mux).ServeHTTP(w, r)
	})
	p := pocket{}
	p.get(t, h, "/inc")
	require.Equal(t, http.StatusServiceUnavailable, p.get(t, h, "/fails").Code)
	require.Equal(t, "1", p.get(t, h, "/get").Body.String())
	require.Equal(t, http.StatusInternalServerError, p.get(t, h, "/panics").Code)
	require.Equal(t, "1", p.get(t, h, "/get").Body.String())
}

func TestClientCookieIsRolledBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), &bridge.Options{StrictBinding: true, ClientMaxAge: time.Hour})
		h, p := a.Handler(a.mux), pocket{}
		for want := range 10 {
			require.Equal(t, want+1, atoi(t, p.get(t, h, "/inc").Body.String()))
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
		a := makeApp(t, threeMethodStore{st}, &bridge.Options{IdleTimeout: time.Hour})
		h := a.Handler(a.mux)
		for range 50 {
			pocket{}.get(t, h, "/inc")
		}
		keep := pocket{}
		keep.get(t, h, "/inc")
		for range 6 {
			time.Sleep(30 * time.Minute)
			_, err := st.Sweep(t.Context(), time.Now(), 1000)
			require.NoError(t, err)
			keep.get(t, h, "/inc")
		}
		require.Equal(t, 1, a.Stats().Attached)
		require.Equal(t, "8", keep.get(t, h, "/inc").Body.String())
	})
}

func TestFollowingSocketMeetsTheNewestSession(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow, EagerClient: true})
	var once func()
	br := newBrowser(t, serve(t, between(a.Handler(a.mux), func() { once() })))
	br.ok("/plain")
	once = func() { br.ok("/inc") } // during the handshake
	ws := br.dial("/ws")
	require.Equal(t, "2", ws.ask("inc"))
}

func TestClearAndDeleteMakeNoSession(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	a.session("/nothing", func(s *bridge.Session) (any, error) {
		s.Clear()
		s.Delete("k")
		return "ok", nil
	})
	p := pocket{}
	require.Equal(t, "ok", p.get(t, a.Handler(a.mux), "/nothing").Body.String())
	require.Zero(t, storedCount(t, st))
	require.NotContains(t, p, "sid")
}
