package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

var errOwn = errors.New("the application's own")

// onAConn runs fn in the handler of a connection of a browser that has, or hasn't, a session.
func onAConn(t *testing.T, a *app, withSession bool, fn func(ctx context.Context, c *bridge.Conn)) {
	t.Helper()
	done := make(chan struct{})
	a.mux.Handle("/once", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		defer close(done)
		fn(ctx, c)
		return nil
	}, nil))
	br := newBrowser(t, a.serve(t))
	if withSession {
		br.ok("/inc")
	}
	ws := br.dial("/once")
	receive(t, done)
	ws.closed()
}

func TestOnMissingOnAConnection(t *testing.T) {
	onAConn(t, makeApp(t, livestore.New(), nil), false, func(ctx context.Context, c *bridge.Conn) {
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
			"MissingErr":         {bridge.MissingErr(errOwn), errOwn},
			"a function":         {func(context.Context) error { called++; return nil }, nil},
			"a failing function": {func(context.Context) error { called++; return errOwn }, errOwn},
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
			"Missing":            {bridge.Missing[string](errOwn), "", errOwn},
			"Fallback":           {bridge.Fallback("guest"), "guest", nil},
			"a function":         {func(context.Context) (string, error) { return "called", nil }, "called", nil},
			"a failing function": {func(context.Context) (string, error) { return "not returned", errOwn }, "", errOwn},
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
	a := makeApp(t, st, nil)
	onMissing := map[string]func(context.Context) (int, error){
		"/nil": nil, "/missing": bridge.Missing[int](errOwn), "/fallback": bridge.Fallback(-7),
		"/func": func(ctx context.Context) (int, error) {
			_, known := bridge.ClientIDFrom(ctx)
			return -8, condition(known)
		},
	}
	for path, fn := range onMissing {
		a.page(path, func(r *http.Request) (any, error) { return bridge.WithSession(r.Context(), a.For(r), increment, fn) })
	}
	h := a.Handler(a.mux)
	require.Equal(t, http.StatusInternalServerError, pocket{}.get(t, h, "/missing").Code)
	require.Equal(t, "-7", pocket{}.get(t, h, "/fallback").Body.String())
	require.Equal(t, "-8", pocket{}.get(t, h, "/func").Body.String())
	require.Zero(t, storedCount(t, st), "only nil creates the session")
	visitor := pocket{}
	require.Equal(t, "1", visitor.get(t, h, "/nil").Body.String())
	require.Equal(t, 1, storedCount(t, st))
	for path := range onMissing {
		require.Equal(t, http.StatusOK, visitor.get(t, h, path).Code, "it isn't missing now")
	}
	require.Equal(t, "5", visitor.get(t, h, "/get").Body.String())
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
	onAConn(t, makeApp(t, livestore.New(), nil), true, func(ctx context.Context, c *bridge.Conn) {
		err := c.WithSession(ctx, func(context.Context, *bridge.Session) error { return bridge.ErrSessionMissing },
			func(context.Context) error { t.Error("onMissing was called"); return nil })
		if !errors.Is(err, bridge.ErrSessionMissing) {
			t.Errorf("%v", err)
		}
	})
}

func TestHandshakeWithoutSession(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	for path, policy := range map[string]bridge.MissingPolicy{
		"/accept": bridge.AcceptMissing, "/close": bridge.CloseMissing, "/refuse": bridge.RefuseMissing,
	} {
		a.mux.Handle(path, a.WebSocket(converse, &bridge.ConnOptions{OnMissing: policy}))
	}
	site := a.serve(t)
	anonymous := newBrowser(t, site)
	require.Contains(t, anonymous.dial("/accept").ask("inc"), "error")
	require.Equal(t, bridge.CodeNoSession, anonymous.dial("/close").closed())
	_, res, err := anonymous.tryDial("/refuse", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	known := newBrowser(t, site)
	known.ok("/inc")
	require.Equal(t, "2", known.dial("/accept").ask("inc"))
	require.Equal(t, "3", known.dial("/close").ask("inc"))
	require.Equal(t, "4", known.dial("/refuse").ask("inc"))
	require.NotEmpty(t, anonymous.cookie("sid.cid"), "it has a client all the same")
	require.Empty(t, anonymous.cookie("sid"))
}

func TestS13_MessageOverTheLimitCloses1009(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	for path, limit := range map[string]int64{"/default": 0, "/small": 10, "/off": bridge.Off} {
		a.mux.Handle(path, a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
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
	site := a.serve(t)
	closes := record[bridge.ConnClose](t, a.Bridge)
	for path, limit := range map[string]int{"/default": 64 << 10, "/small": 10} {
		ws := newBrowser(t, site).dial(path)
		require.Equal(t, limit, atoi(t, ws.ask(text(limit))), path)
		ws.say(text(limit + 1))
		require.Equal(t, 1009, ws.closed(), path)
		require.Equal(t, 1009, closes.next().Code, path)
	}
	ws := newBrowser(t, site).dial("/off")
	require.Equal(t, 1<<20, atoi(t, ws.ask(text(1<<20))))
}

func text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}
