package bridge_test

import (
	"context"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// rotated returns the pockets of a browser before and after it visited the path, and the application's handler.
func rotated(t *testing.T, path string, opts *bridge.Options) (before, after pocket, h http.Handler) {
	t.Helper()
	a := makeApp(t, livestore.New(), opts)
	h = a.Handler(a.mux)
	after = pocket{}
	after.get(t, h, "/inc")
	before = maps.Clone(after)
	require.Equal(t, http.StatusOK, after.get(t, h, path).Code)
	require.NotEqual(t, before["sid"], after["sid"])
	return before, after, h
}

func TestStaleTokenAfterRotate(t *testing.T) {
	for name, c := range map[string]struct {
		opts    *bridge.Options
		wait    time.Duration
		present bool   // the new token first
		want    string // the count; 0 is a new session
	}{
		"within the grace": {nil, 9 * time.Second, false, "1"},
		"within the grace, the new one was presented": {nil, time.Second, true, "0"},
		"after the grace":       {nil, 10 * time.Second, false, "0"},
		"within a longer grace": {&bridge.Options{RotateGrace: time.Hour}, 59 * time.Minute, false, "1"},
		"no grace":              {&bridge.Options{RotateGrace: bridge.Off}, 0, false, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before, after, h := rotated(t, "/rotate", c.opts)
				time.Sleep(c.wait)
				if c.present {
					require.Equal(t, "1", after.get(t, h, "/get").Body.String())
				}
				w := before.get(t, h, "/get")
				require.Equal(t, http.StatusOK, w.Code)
				require.Equal(t, c.want, w.Body.String())
				require.Empty(t, w.Header()["Set-Cookie"], "whoever has the newer cookie keeps it")
				require.Equal(t, "1", after.get(t, h, "/get").Body.String(), "the new token works")
			})
		})
	}
}

func TestStaleTokenCannotReplaceTheNewOne(t *testing.T) {
	for _, path := range []string{"/rotate", "/login?user=eve"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before, after, h := rotated(t, "/rotate", nil)
				require.Equal(t, "2", before.get(t, h, "/inc").Body.String(), "it may change values")
				w := before.get(t, h, path)
				require.Equal(t, http.StatusConflict, w.Code)
				require.Empty(t, w.Header()["Set-Cookie"])
				require.Equal(t, "2", after.get(t, h, "/get").Body.String())
			})
		})
	}
}

func TestS3_StaleTokenAfterLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after, h := rotated(t, "/login?user=ada", nil)
		for _, path := range []string{"/get", "/inc", "/logout", "/login?user=eve", "/id"} {
			w := before.get(t, h, path)
			require.Equal(t, http.StatusConflict, w.Code, path)
			require.Empty(t, w.Header()["Set-Cookie"], "it would overwrite the newer one")
		}
		require.Equal(t, http.StatusOK, before.get(t, h, "/plain").Code)
		time.Sleep(10 * time.Second)
		w := before.get(t, h, "/inc")
		require.Equal(t, http.StatusOK, w.Code, "a browser that never got the answer isn't locked out")
		require.Equal(t, "1", w.Body.String(), "but it begins anew")
		require.Equal(t, "1", after.get(t, h, "/get").Body.String())
	})
}

// Of two requests that rotate at once one wins. The loser learns it, and sends no session cookie.
func TestOneOfTwoRotationsAtOnceWins(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	h := a.Handler(a.mux)
	visitor := pocket{}
	visitor.get(t, h, "/inc")
	first, second := maps.Clone(visitor), maps.Clone(visitor)
	g := newGate()
	st.next(1, "Set", g.wait)
	codes := make(chan int, 1)
	go func() { codes <- first.get(t, h, "/rotate").Code }()
	receive(t, g.reached)
	done := make(chan int, 1)
	loaded := newGate()
	st.next(1, "Get", func(_ context.Context, call func() error) error {
		err := call()
		loaded.reached <- struct{}{}
		return err
	})
	go func() { done <- second.get(t, h, "/rotate").Code }()
	receive(t, loaded.reached)
	close(g.opened)
	require.Equal(t, http.StatusOK, receive(t, codes))
	require.Equal(t, http.StatusConflict, receive(t, done))
	require.NotEqual(t, visitor["sid"], first["sid"])
	require.Equal(t, visitor["sid"], second["sid"], "no session cookie for the loser")
	require.Equal(t, "1", first.get(t, h, "/get").Body.String())
}

func TestHandshakeWithATokenThatALoginReplacedIs409(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	old := br.another()
	br.ok("/login?user=ada")
	_, res, err := old.tryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusConflict, res.StatusCode)
	require.Empty(t, res.Header["Set-Cookie"])
	require.Equal(t, "2", br.dial("/ws").ask("inc"))
}
