package peers_test

import (
	"context"
	"errors"
	"hash/crc32"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The tests named TestKoaFault… are faults of the closest peer, koa-io-session, that this library
// must not have. Their numbers are those of a list that was made by running it.

func TestKoaFault01_HTTPAndWebSocketLoseNoUpdateOfEachOther(t *testing.T) {
	site := testkit.NewApp(t, livestore.New(), nil).Serve(t)
	br := webclient.NewBrowser(t, site)
	require.Equal(t, "1", br.OK("/inc"))
	const each = 25
	var all sync.WaitGroup
	for range 2 {
		ws := br.Dial("/ws")
		all.Go(func() {
			for range each {
				ws.Ask("inc")
			}
		})
		all.Go(func() {
			for range each {
				if rep := br.Get("/inc"); rep.Status != http.StatusOK {
					t.Errorf("HTTP increment: %d %s", rep.Status, rep.Body)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, strconv.Itoa(1+4*each), br.OK("/get"))
}

func TestKoaFault01_SlowRequestAndWebSocketKeepEachOthersKeys(t *testing.T) {
	for _, first := range []string{"request", "socket"} {
		t.Run("slow "+first, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			inside, release := make(chan struct{}), make(chan struct{})
			slow := func() {
				inside <- struct{}{}
				<-release
			}
			a.SessionPage("/begin", func(s *bridge.Session) (any, error) { s.Set("begin", 1); return s.ID(), nil })
			a.SessionPage("/request", func(s *bridge.Session) (any, error) {
				s.Get("begin") // in the peer, a session that was read overwrites others
				if first == "request" {
					slow()
				}
				s.Set("request", "kept")
				return nil, nil
			})
			a.Mux.Handle("/slowws", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
				if _, _, err := c.Read(ctx); err != nil {
					return err
				}
				err := c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error {
					if _, again := s.Get("request"); first == "socket" && !again {
						slow()
					}
					s.Set("socket", "kept")
					return nil
				}, nil)
				return errors.Join(err, c.WriteJSON(ctx, err == nil))
			}, nil))
			br := webclient.NewBrowser(t, a.Serve(t))
			id := br.OK("/begin")
			ws := br.Dial("/slowws")
			done := make(chan webclient.Reply, 1)
			if first == "request" {
				go func() { done <- br.Get("/request") }()
				await.Receive(t, inside)
				require.Equal(t, "true", ws.Ask("go"))
				close(release)
				require.Equal(t, http.StatusOK, await.Receive(t, done).Status)
			} else {
				ws.Say("go")
				await.Receive(t, inside)
				br.OK("/request")
				close(release)
				require.Equal(t, "true", ws.Hear())
			}
			s, err := a.GetByID(t.Context(), id)
			require.NoError(t, err)
			for _, key := range []string{"request", "socket"} {
				v, _ := s.Get(key)
				require.Equal(t, "kept", v, key)
			}
		})
	}
}

// A handler that runs while the session gets a new token stores its update, or gets an error:
// success always means stored.
func TestKoaFault03_UpdateDuringRotationIsStoredOrReported(t *testing.T) {
	for path, want := range map[string]error{"/rotate": nil, "/login?user=ada": bridge.ErrTokenRotated} {
		t.Run(path, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			inside, release, outcome := make(chan struct{}, 8), make(chan struct{}), make(chan error, 1)
			a.Mux.Handle("/slow", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
				// Its own context: the connection's ends with the login.
				outcome <- c.WithSession(context.WithoutCancel(ctx), func(_ context.Context, s *bridge.Session) error {
					inside <- struct{}{}
					<-release
					s.Set("socket", "was here")
					return nil
				}, nil)
				return nil
			}, nil))
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			id := br.OK("/id")
			br.Dial("/slow")
			await.Receive(t, inside)
			br.OK(path)
			close(release)
			err := await.Receive(t, outcome)
			require.ErrorIs(t, err, want)
			s, loadErr := a.GetByID(t.Context(), id)
			require.NoError(t, loadErr)
			_, stored := s.Get("socket")
			require.Equal(t, err == nil, stored, "stored exactly when it succeeded")
			require.Equal(t, "1", br.OK("/get"), "the browser goes on in the same session")
		})
	}
}

func TestKoaFault04_SetByIDWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id := visitor.Get(t, h, "/id").Body.String()
		release, handled, done := make(chan struct{}), make(chan error, 1), make(chan error, 1)
		go func() {
			handled <- a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
				<-release
				s.Set("handler", true)
				return nil
			})
		}()
		synctest.Wait()
		go func() {
			done <- a.SetByID(t.Context(), id, map[string]any{"by": "id"}, 0)
		}()
		synctest.Wait()
		require.Empty(t, done, "SetByID waits while the handler runs")
		close(release)
		require.NoError(t, <-handled)
		require.NoError(t, <-done)
		s, err := a.GetByID(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []string{"by"}, slices.Collect(s.Keys()), "the handler didn't overwrite it")
	})
}

func TestKoaFault05_NestedWithSessionRunsInside(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	nested := func(ctx context.Context, on bridge.Sessioner) error {
		return on.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
			testkit.Count.Set(s, 10)
			return on.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
				_, err := testkit.Increment(ctx, s)
				return err
			}, nil)
		}, nil)
	}
	a.Page("/nested", func(r *http.Request) (any, error) { return "done", nested(r.Context(), a.For(r)) })
	a.Mux.Handle("/nestedws", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		return errors.Join(nested(ctx, c), c.WriteJSON(ctx, "done"))
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/nested")
	require.Equal(t, "12", br.OK("/inc"), "the session is not locked for good")
	require.Equal(t, `"done"`, br.Dial("/nestedws").Hear())
	require.Equal(t, "12", br.OK("/inc"))
}

func TestKoaFault06_ValueWithTheSameChecksumIsSaved(t *testing.T) {
	const one, other = "plumless", "buckeroo"
	require.Equal(t, crc32.ChecksumIEEE([]byte(one)), crc32.ChecksumIEEE([]byte(other)))
	a := testkit.NewApp(t, livestore.New(), nil)
	for _, v := range []string{one, other} {
		a.SessionPage("/"+v, func(s *bridge.Session) (any, error) { s.Set("k", v); return s.ID(), nil })
	}
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/" + one)
	s, err := a.GetByID(t.Context(), br.OK("/"+other))
	require.NoError(t, err)
	v, _ := s.Get("k")
	require.Equal(t, other, v)
}
