package security_test

import (
	"context"
	"maps"
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
				before, after, h := testkit.Rotated(t, "/rotate", c.opts)
				time.Sleep(c.wait)
				if c.present {
					require.Equal(t, "1", after.Get(t, h, "/get").Body.String())
				}
				w := before.Get(t, h, "/get")
				require.Equal(t, http.StatusOK, w.Code)
				require.Equal(t, c.want, w.Body.String())
				require.Empty(t, w.Header()["Set-Cookie"], "a newer cookie stays")
				require.Equal(t, "1", after.Get(t, h, "/get").Body.String(), "the new token works")
			})
		})
	}
}

func TestStaleTokenCannotReplaceTheNewOne(t *testing.T) {
	for _, path := range []string{"/rotate", "/login?user=eve"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before, after, h := testkit.Rotated(t, "/rotate", nil)
				require.Equal(t, "2", before.Get(t, h, "/inc").Body.String(), "it may change values")
				w := before.Get(t, h, path)
				require.Equal(t, http.StatusConflict, w.Code)
				require.Empty(t, w.Header()["Set-Cookie"])
				require.Equal(t, "2", after.Get(t, h, "/get").Body.String())
			})
		})
	}
}

func TestS3_StaleTokenAfterLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after, h := testkit.Rotated(t, "/login?user=ada", nil)
		for _, path := range []string{"/get", "/inc", "/logout", "/login?user=eve", "/id"} {
			w := before.Get(t, h, path)
			require.Equal(t, http.StatusConflict, w.Code, path)
			require.Empty(t, w.Header()["Set-Cookie"], "it would overwrite the newer one")
		}
		require.Equal(t, http.StatusOK, before.Get(t, h, "/plain").Code)
		time.Sleep(10 * time.Second)
		w := before.Get(t, h, "/inc")
		require.Equal(t, http.StatusOK, w.Code, "a browser that never got the answer isn't locked out")
		require.Equal(t, "1", w.Body.String(), "but it begins anew")
		require.Equal(t, "1", after.Get(t, h, "/get").Body.String())
	})
}

// Of two concurrent rotations one succeeds. The other gets ErrTokenRotated and sets no session
// cookie.
func TestOneOfTwoRotationsAtOnceWins(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	first, second := maps.Clone(visitor), maps.Clone(visitor)
	g := teststore.NewGate()
	st.Next(1, "Set", g.Wait)
	codes := make(chan int, 1)
	go func() { codes <- first.Get(t, h, "/rotate").Code }()
	await.Receive(t, g.Reached)
	done := make(chan int, 1)
	loaded := teststore.NewGate()
	st.Next(1, "Get", func(_ context.Context, call func() error) error {
		err := call()
		loaded.Reached <- struct{}{}
		return err
	})
	go func() { done <- second.Get(t, h, "/rotate").Code }()
	await.Receive(t, loaded.Reached)
	close(g.Opened)
	require.Equal(t, http.StatusOK, await.Receive(t, codes))
	require.Equal(t, http.StatusConflict, await.Receive(t, done))
	require.NotEqual(t, visitor["sid"], first["sid"])
	require.Equal(t, visitor["sid"], second["sid"], "no session cookie for the loser")
	require.Equal(t, "1", first.Get(t, h, "/get").Body.String())
}

func TestHandshakeWithATokenThatALoginReplacedIs409(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	old := br.Another()
	br.OK("/login?user=ada")
	_, res, err := old.TryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusConflict, res.StatusCode)
	require.Empty(t, res.Header["Set-Cookie"])
	require.Equal(t, "2", br.Dial("/ws").Ask("inc"))
}
