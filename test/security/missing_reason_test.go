package security_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// why is an application whose page /why says why there is no session, before it asks for one and
// afterwards.
func why(t *testing.T, opts *bridge.Options) (*testkit.App, http.Handler) {
	a := testkit.NewApp(t, livestore.New(), opts)
	a.Page("/why", func(r *http.Request) (any, error) {
		before := a.MissingReason(r)
		if _, err := a.Session(r); err != nil {
			return nil, err
		}
		if after := a.MissingReason(r); after != before {
			return before + ", then " + after, nil
		}
		return before, nil
	})
	a.Page("/only", func(r *http.Request) (any, error) { return a.MissingReason(r), nil })
	return a, a.Handler(a.Mux)
}

// forge changes the last characters of a cookie, which are a part of its signature.
func forge(p webclient.Pocket) {
	value := p["sid"]
	p["sid"] = value[:len(value)-8] + strings.Repeat("A", 8)
}

func TestMissingReason(t *testing.T) {
	for name, c := range map[string]struct {
		opts bridge.Options
		do   func(t *testing.T, a *testkit.App, h http.Handler, p webclient.Pocket)
		want bridge.MissingReason
		only bool // the page doesn't ask for the session, which would answer with 409
	}{
		"there is one": {do: func(*testing.T, *testkit.App, http.Handler, webclient.Pocket) {}},
		"no cookie": {
			do:   func(_ *testing.T, _ *testkit.App, _ http.Handler, p webclient.Pocket) { delete(p, "sid") },
			want: bridge.MissingNoCredential,
		},
		"logout": {
			do: func(t *testing.T, _ *testkit.App, h http.Handler, p webclient.Pocket) {
				p.LookAt(t, h, "/logout")
			},
			want: bridge.MissingEnded,
		},
		"ended by an administrator": {
			do: func(t *testing.T, a *testkit.App, _ http.Handler, _ webclient.Pocket) {
				n, err := a.DestroyUser(t.Context(), "ada")
				require.NoError(t, err)
				require.Equal(t, 1, n)
			},
			want: bridge.MissingEnded,
		},
		"expired": {
			opts: bridge.Options{IdleTimeout: time.Minute},
			do:   func(*testing.T, *testkit.App, http.Handler, webclient.Pocket) { time.Sleep(2 * time.Minute) },
			want: bridge.MissingExpired,
		},
		"expired and swept": {
			opts: bridge.Options{IdleTimeout: time.Minute},
			do: func(t *testing.T, a *testkit.App, _ http.Handler, _ webclient.Pocket) {
				time.Sleep(2 * time.Minute)
				_, err := a.Cleanup(t.Context())
				require.NoError(t, err)
			},
			want: bridge.MissingExpired,
		},
		"expired, and nothing is remembered": {
			opts: bridge.Options{IdleTimeout: time.Minute, RememberEnds: bridge.Off},
			do: func(t *testing.T, a *testkit.App, _ http.Handler, _ webclient.Pocket) {
				time.Sleep(2 * time.Minute)
				_, err := a.Cleanup(t.Context())
				require.NoError(t, err)
			},
			want: bridge.MissingUnknown,
		},
		"evicted by a login elsewhere": {
			opts: bridge.Options{MaxSessionsPerUser: 1},
			do: func(t *testing.T, _ *testkit.App, h http.Handler, _ webclient.Pocket) {
				webclient.Pocket{}.Get(t, h, "/login?user=ada")
			},
			want: bridge.MissingEvicted,
		},
		"token replaced by a login, a moment ago": {
			do: func(t *testing.T, _ *testkit.App, h http.Handler, p webclient.Pocket) {
				time.Sleep(time.Second)
				p.LookAt(t, h, "/login?user=ada")
			},
			want: bridge.MissingReplaced, only: true,
		},
		"token replaced by a login": {
			do: func(t *testing.T, _ *testkit.App, h http.Handler, p webclient.Pocket) {
				time.Sleep(time.Second)
				p.LookAt(t, h, "/login?user=ada")
				time.Sleep(time.Minute)
			},
			want: bridge.MissingReplaced,
		},
		"token replaced by a rotation": {
			do: func(t *testing.T, _ *testkit.App, h http.Handler, p webclient.Pocket) {
				time.Sleep(time.Second)
				p.LookAt(t, h, "/rotate")
				time.Sleep(time.Minute)
			},
			want: bridge.MissingRefused,
		},
		"without the client's cookie": {
			opts: bridge.Options{StrictBinding: true},
			do:   func(_ *testing.T, _ *testkit.App, _ http.Handler, p webclient.Pocket) { delete(p, "sid.cid") },
			want: bridge.MissingRefused,
		},
		"forged": {
			do:   func(_ *testing.T, _ *testkit.App, _ http.Handler, p webclient.Pocket) { forge(p) },
			want: bridge.MissingRefused,
		},
		"forged, of a session that has ended": {
			do: func(t *testing.T, _ *testkit.App, h http.Handler, p webclient.Pocket) {
				p.LookAt(t, h, "/logout")
				forge(p)
			},
			want: bridge.MissingRefused,
		},
		"ended longer ago than is remembered": {
			opts: bridge.Options{RememberEnds: time.Minute},
			do: func(t *testing.T, _ *testkit.App, h http.Handler, p webclient.Pocket) {
				p.LookAt(t, h, "/logout")
				time.Sleep(time.Minute)
			},
			want: bridge.MissingUnknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.opts.AutoCleanup = bridge.Off
				a, h := why(t, &c.opts)
				p := webclient.Pocket{}
				p.Get(t, h, "/login?user=ada")
				c.do(t, a, h, p)
				page := "/why"
				if c.only {
					page = "/only"
				}
				w := p.Get(t, h, page)
				require.Equal(t, string(c.want), w.Body.String())
				require.Contains(t, w.Header()["Vary"], "Cookie")
			})
		})
	}
}

// A cookie of a session that no process knows says so: from another installation with the same
// keys, or from before a wipe.
func TestMissingReasonOfASessionThatNeverWas(t *testing.T) {
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}}
	_, h := why(t, opts)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	_, h = why(t, opts)
	require.Equal(t, string(bridge.MissingUnknown), p.Get(t, h, "/why").Body.String())
}

func TestMissingReasonAfterTheRequestsOwnEnd(t *testing.T) {
	a, h := why(t, nil)
	a.Page("/out", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		before := a.MissingReason(r)
		s.Logout()
		if _, err := a.Session(r); err != nil { // ends it
			return nil, err
		}
		return before + "/" + a.MissingReason(r), nil
	})
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	require.Equal(t, "/ended", p.Get(t, h, "/out").Body.String())
}

// A script learns from the reason of the close why there is no session, and so does a handler.
func TestMissingReasonAtAHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, h http.Handler, br *webclient.Browser) // or spoils its cookie
		text string
		want bridge.MissingReason
	}{
		"never had one": {
			func(_ *testing.T, _ http.Handler, br *webclient.Browser) { br.SetCookie("sid", "") },
			"no session: ask for one over HTTP", bridge.MissingNoCredential,
		},
		"logout": {
			func(_ *testing.T, _ http.Handler, br *webclient.Browser) { br.Another().OK("/logout") },
			"no session: ended", bridge.MissingEnded,
		},
		"evicted": {
			func(t *testing.T, h http.Handler, _ *webclient.Browser) {
				webclient.Pocket{}.Get(t, h, "/login?user=ada")
			},
			"no session: evicted", bridge.MissingEvicted,
		},
		"expired": {
			func(*testing.T, http.Handler, *webclient.Browser) { time.Sleep(2 * time.Minute) },
			"no session: expired", bridge.MissingExpired,
		},
		"forged": {
			func(_ *testing.T, _ http.Handler, br *webclient.Browser) { br.SetCookie("sid", "x"+br.Cookie("sid")) },
			"no session: refused", bridge.MissingRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, h := why(t, &bridge.Options{MaxSessionsPerUser: 1, IdleTimeout: time.Minute, AutoCleanup: bridge.Off})
				var refused error
				a.Mux.Handle("/messages", a.Messages(nil, nil))
				a.Mux.Handle("/refuse", a.Messages(nil, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
				a.Mux.Handle("/accept", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
					refused = c.WithSession(ctx, nil, nil)
					return c.WriteJSON(ctx, c.MissingReason())
				}, nil))
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/login?user=ada")
				time.Sleep(10 * time.Second) // no response with a cookie is under way
				c.end(t, h, br)

				var closed websocket.CloseError
				_, err := br.Dial("/messages").Read(t.Context())
				require.ErrorAs(t, err, &closed)
				require.EqualValues(t, bridge.CodeNoSession, closed.Code)
				require.Equal(t, c.text, closed.Reason)

				require.Equal(t, strconv.Quote(string(c.want)), br.Dial("/accept").Hear())
				synctest.Wait()
				require.ErrorIs(t, refused, bridge.ErrSessionMissing)
				require.Equal(t, c.want, bridge.MissingReasonOf(refused))

				_, res, err := br.TryDial("/refuse", nil)
				require.Error(t, err)
				require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			})
		})
	}
}

// With KeepConns a connection outlives its session, and its handler learns why it has none.
func TestMissingReasonOnAConnectionThatLosesItsSession(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, a *testkit.App, id string)
		want bridge.MissingReason
	}{
		"destroyed": {
			func(t *testing.T, a *testkit.App, id string) {
				_, err := a.DestroyByID(t.Context(), id)
				require.NoError(t, err)
			},
			bridge.MissingEnded,
		},
		"expired": {func(*testing.T, *testkit.App, string) { time.Sleep(2 * time.Minute) }, bridge.MissingExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := why(t, &bridge.Options{
					OnSessionEnd: bridge.KeepConns, IdleTimeout: time.Minute, AutoCleanup: bridge.Off,
				})
				a.Mux.Handle("/messages", a.Messages(
					func(_ context.Context, c *bridge.Conn, m bridge.Message, s *bridge.Session) error {
						return m.ReplyJSON(map[string]any{"has": s != nil, "why": c.MissingReason()})
					}, &bridge.ConnOptions{OnMissing: bridge.AcceptMissing, Heartbeat: bridge.Off}))
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				ws := br.Dial("/messages")
				require.JSONEq(t, `{"has":true,"why":""}`, ws.Ask(""))
				c.end(t, a, br.OK("/id"))
				require.JSONEq(t, `{"has":false,"why":"`+string(c.want)+`"}`, ws.Ask(""))
			})
		})
	}
}

func TestMissingReasonOf(t *testing.T) {
	for err, want := range map[error]bridge.MissingReason{
		bridge.ErrSessionMissing: bridge.MissingUnknown,
		bridge.ErrSessionGone:    bridge.MissingUnknown,
		bridge.ErrTokenRotated:   bridge.MissingReplaced,
		bridge.ErrTicket:         bridge.MissingRefused,
		bridge.ErrConflict:       "",
	} {
		require.Equal(t, want, bridge.MissingReasonOf(err), err)
	}
	require.Empty(t, bridge.MissingReasonOf(nil))
}
