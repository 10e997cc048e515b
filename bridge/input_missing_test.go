package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// onAConn runs fn in the handler of a connection of a browser that has, or hasn't, a session.
func onAConn(t *testing.T, a *testkit.App, withSession bool, fn func(ctx context.Context, c *bridge.Conn)) {
	t.Helper()
	done := make(chan struct{})
	a.Mux.Handle("/once", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		defer close(done)
		fn(ctx, c)
		return nil
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	if withSession {
		br.OK("/inc")
	}
	ws := br.Dial("/once")
	await.Receive(t, done)
	ws.Closed()
}

func TestOnMissingOnAConnection(t *testing.T) {
	onAConn(t, testkit.NewApp(t, livestore.New(), nil), false, func(ctx context.Context, c *bridge.Conn) {
		if c.SessionID() != "" {
			t.Error("a session out of nothing")
		}
		called := 0
		fn := func(context.Context, *bridge.Session) error { t.Error("fn was called"); return nil }
		for name, c2 := range map[string]struct {
			onMissing func(context.Context) error
			want      error
		}{
			"nil":                {nil, bridge.ErrSessionMissing},
			"MissingErr":         {bridge.MissingErr(testkit.ErrApp), testkit.ErrApp},
			"a function":         {func(context.Context) error { called++; return nil }, nil},
			"a failing function": {func(context.Context) error { called++; return testkit.ErrApp }, testkit.ErrApp},
		} {
			if err := c.WithSession(ctx, fn, c2.onMissing); !errors.Is(err, c2.want) {
				t.Errorf("%s: %v, want %v", name, err, c2.want)
			}
		}
		if called != 2 {
			t.Errorf("called %d times", called)
		}
		value := func(context.Context, *bridge.Session) (string, error) { t.Error("fn was called"); return "fn", nil }
		for name, c2 := range map[string]struct {
			onMissing func(context.Context) (string, error)
			want      string
			err       error
		}{
			"nil":                {nil, "", bridge.ErrSessionMissing},
			"Missing":            {bridge.Missing[string](testkit.ErrApp), "", testkit.ErrApp},
			"Fallback":           {bridge.Fallback("guest"), "guest", nil},
			"a function":         {func(context.Context) (string, error) { return "called", nil }, "called", nil},
			"a failing function": {func(context.Context) (string, error) { return "not returned", testkit.ErrApp }, "", testkit.ErrApp},
		} {
			got, err := bridge.WithSession(ctx, c, value, c2.onMissing)
			if got != c2.want || !errors.Is(err, c2.err) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	})
}

func TestOnMissingOverHTTP(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	onMissing := map[string]func(context.Context) (int, error){
		"/nil": nil, "/missing": bridge.Missing[int](testkit.ErrApp), "/fallback": bridge.Fallback(-7),
		"/func": func(ctx context.Context) (int, error) {
			_, known := bridge.ClientIDFrom(ctx)
			return -8, condition(known)
		},
	}
	for path, fn := range onMissing {
		a.Page(path, func(r *http.Request) (any, error) {
			return bridge.WithSession(r.Context(), a.For(r), testkit.Increment, fn)
		})
	}
	h := a.Handler(a.Mux)
	require.Equal(t, http.StatusInternalServerError, webclient.Pocket{}.Get(t, h, "/missing").Code)
	require.Equal(t, "-7", webclient.Pocket{}.Get(t, h, "/fallback").Body.String())
	require.Equal(t, "-8", webclient.Pocket{}.Get(t, h, "/func").Body.String())
	require.Zero(t, teststore.StoredCount(t, st), "only nil creates the session")
	visitor := webclient.Pocket{}
	require.Equal(t, "1", visitor.Get(t, h, "/nil").Body.String())
	require.Equal(t, 1, teststore.StoredCount(t, st))
	for path := range onMissing {
		require.Equal(t, http.StatusOK, visitor.Get(t, h, path).Code, "it isn't missing now")
	}
	require.Equal(t, "5", visitor.Get(t, h, "/get").Body.String())
}

// condition is an error unless it holds.
func condition(holds bool) error {
	if holds {
		return nil
	}
	return errors.New("the condition doesn't hold")
}

// A function that fails with ErrSessionMissing itself has been run: onMissing is not for it.
func TestOnMissingIsNotCalledForAFunctionThatRan(t *testing.T) {
	onAConn(t, testkit.NewApp(t, livestore.New(), nil), true, func(ctx context.Context, c *bridge.Conn) {
		err := c.WithSession(ctx, func(context.Context, *bridge.Session) error { return bridge.ErrSessionMissing },
			func(context.Context) error { t.Error("onMissing was called"); return nil })
		if !errors.Is(err, bridge.ErrSessionMissing) {
			t.Errorf("%v", err)
		}
	})
}

func TestHandshakeWithoutSession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	for path, policy := range map[string]bridge.MissingPolicy{
		"/accept": bridge.AcceptMissing, "/close": bridge.CloseMissing, "/refuse": bridge.RefuseMissing,
	} {
		a.Mux.Handle(path, a.WebSocket(testkit.Converse, &bridge.ConnOptions{OnMissing: policy}))
	}
	site := a.Serve(t)
	anonymous := webclient.NewBrowser(t, site)
	require.Contains(t, anonymous.Dial("/accept").Ask("inc"), "error")
	require.Equal(t, bridge.CodeNoSession, anonymous.Dial("/close").Closed())
	_, res, err := anonymous.TryDial("/refuse", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	known := webclient.NewBrowser(t, site)
	known.OK("/inc")
	require.Equal(t, "2", known.Dial("/accept").Ask("inc"))
	require.Equal(t, "3", known.Dial("/close").Ask("inc"))
	require.Equal(t, "4", known.Dial("/refuse").Ask("inc"))
	require.NotEmpty(t, anonymous.Cookie("sid.cid"), "it has a client all the same")
	require.Empty(t, anonymous.Cookie("sid"))
}

func TestS13_MessageOverTheLimitCloses1009(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	for path, limit := range map[string]int64{"/default": 0, "/small": 10, "/off": bridge.Off} {
		a.Mux.Handle(path, a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for {
				_, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				if err := c.WriteJSON(ctx, len(data)); err != nil {
					return err
				}
			}
		}, &bridge.ConnOptions{MaxMessageBytes: limit}))
	}
	site := a.Serve(t)
	closes := testkit.Record[bridge.ConnClose](t, a.Bridge)
	for path, limit := range map[string]int{"/default": 64 << 10, "/small": 10} {
		ws := webclient.NewBrowser(t, site).Dial(path)
		require.Equal(t, limit, testkit.Atoi(t, ws.Ask(text(limit))), path)
		ws.Say(text(limit + 1))
		require.Equal(t, 1009, ws.Closed(), path)
		require.Equal(t, 1009, closes.Next().Code, path)
	}
	ws := webclient.NewBrowser(t, site).Dial("/off")
	require.Equal(t, 1<<20, testkit.Atoi(t, ws.Ask(text(1<<20))))
}

func text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}
