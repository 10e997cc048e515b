package compat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// router is a way to put a Bridge into an application of a framework. Each serves the usual pages
// below /app and the socket /app/ws, all written as handlers of the framework, and /app/silent,
// which logs in and writes nothing.
type router struct {
	name  string
	serve func(b *bridge.Bridge) http.Handler
}

var routers = []router{
	{"net/http, around the mux", func(b *bridge.Bridge) http.Handler { return b.Handler(muxPages(b)) }},
	{"net/http, each handler", func(b *bridge.Bridge) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/app/", b.Handler(muxPages(b)))
		return mux
	}},
	{"chi, around the router", func(b *bridge.Bridge) http.Handler { return b.Handler(chiPages(b)) }},
	{"chi, as middleware", func(b *bridge.Bridge) http.Handler { return chiPages(b, b.Handler) }},
	{"gin, around the engine", func(b *bridge.Bridge) http.Handler { return b.Handler(ginPages(b)) }},
	{"gin, as middleware", func(b *bridge.Bridge) http.Handler { return ginPages(b, ginSessions(b)) }},
	{"echo, around the router", func(b *bridge.Bridge) http.Handler { return b.Handler(echoPages(b)) }},
	{"echo, as middleware", func(b *bridge.Bridge) http.Handler { return echoPages(b, echo.WrapMiddleware(b.Handler)) }},
}

// act is what a page does; each framework has it called with its own request.
func act(b *bridge.Bridge, r *http.Request, page string) (text string, err error) {
	s, err := b.Session(r)
	if err != nil {
		return "", err
	}
	switch page {
	case "login", "silent":
		return "in", s.Login("ada")
	case "logout":
		s.Logout()
		return "out", nil
	case "set":
		s.Set("k", r.URL.RawQuery)
		return "set", nil
	case "get":
		v, _ := s.Get("k")
		return fmt.Sprint(s.UserID(), " ", v), nil
	}
	return "", errors.New("no such page")
}

func echoing(ctx context.Context, c *bridge.Conn) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		n, err := bridge.WithSession(ctx, c, func(_ context.Context, s *bridge.Session) (any, error) {
			v, _ := s.Get("k")
			s.Set("k", "socket")
			return v, nil
		}, nil)
		if err != nil {
			return err
		}
		if err := c.WriteJSON(ctx, n); err != nil {
			return err
		}
	}
}

func muxPages(b *bridge.Bridge) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/app/{page}", func(w http.ResponseWriter, r *http.Request) {
		text, err := act(b, r, r.PathValue("page"))
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		if r.PathValue("page") != "silent" {
			fmt.Fprint(w, text)
		}
	})
	mux.Handle("/app/ws", b.WebSocket(echoing, nil))
	return mux
}

func chiPages(b *bridge.Bridge, use ...func(http.Handler) http.Handler) http.Handler {
	root := chi.NewRouter()
	root.Route("/app", func(r chi.Router) {
		r.Use(use...)
		r.Get("/{page}", func(w http.ResponseWriter, r *http.Request) {
			text, err := act(b, r, chi.URLParam(r, "page"))
			if err != nil {
				b.WriteError(w, r, err)
				return
			}
			if chi.URLParam(r, "page") != "silent" {
				fmt.Fprint(w, text)
			}
		})
		r.Handle("/ws", b.WebSocket(echoing, nil))
	})
	return root
}

func ginPages(b *bridge.Bridge, use ...gin.HandlerFunc) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	app := engine.Group("/app", use...)
	app.GET("/:page", func(c *gin.Context) {
		text, err := act(b, c.Request, c.Param("page"))
		switch {
		case err != nil:
			b.WriteError(c.Writer, c.Request, err)
		case c.Param("page") == "silent":
			c.Status(http.StatusNoContent)
		default:
			c.String(http.StatusOK, "%s", text)
		}
	})
	app.GET("/ws", gin.WrapH(b.WebSocket(echoing, nil)))
	return engine
}

func echoPages(b *bridge.Bridge, use ...echo.MiddlewareFunc) http.Handler {
	e := echo.New()
	app := e.Group("/app", use...)
	app.GET("/:page", func(c echo.Context) error {
		text, err := act(b, c.Request(), c.Param("page"))
		switch {
		case err != nil:
			b.WriteError(c.Response(), c.Request(), err)
			return nil
		case c.Param("page") == "silent":
			return nil
		}
		return c.String(http.StatusOK, text)
	})
	app.GET("/ws", echo.WrapHandler(b.WebSocket(echoing, nil)))
	return e
}

// ginSessions returns b.Handler as a middleware of gin.
func ginSessions(b *bridge.Bridge) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer := c.Writer
		defer func() { c.Writer = outer }()
		b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Request, c.Writer = r, &ginWriter{outer, w}
			c.Next()
		})).ServeHTTP(outer, c.Request)
	}
}

// ginWriter is gin's ResponseWriter, but writes through the Bridge's.
type ginWriter struct {
	gin.ResponseWriter                     // gin's: Status, Size, Written
	bridge             http.ResponseWriter // the Bridge's, which writes to gin's
}

func (w *ginWriter) Write(p []byte) (int, error)       { return w.bridge.Write(p) }
func (w *ginWriter) WriteString(s string) (int, error) { return io.WriteString(w.bridge, s) }
func (w *ginWriter) Unwrap() http.ResponseWriter       { return w.bridge }
func (w *ginWriter) Flush()                            { _ = http.NewResponseController(w.bridge).Flush() }

func (w *ginWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.bridge).Hijack()
}

func (w *ginWriter) WriteHeaderNow() {
	if !w.Written() {
		w.bridge.WriteHeader(w.Status())
		w.ResponseWriter.WriteHeaderNow() // no effect if the Bridge has answered with an error
	}
}

func eachRouter(t *testing.T, test func(t *testing.T, r router)) {
	for _, r := range routers {
		t.Run(r.name, func(t *testing.T) { test(t, r) })
	}
}

func TestRoutersKeepSessions(t *testing.T) {
	eachRouter(t, func(t *testing.T, r router) {
		br := newBrowser(t, serve(t, r.serve(newBridge(t, newStore(), nil))))
		require.Equal(t, "in", br.ok("/app/login"))
		require.Contains(t, br.ok("/app/get"), "ada")
		first := br.cookie("sid")
		require.NotEmpty(t, first)
		require.Less(t, br.get("/app/silent").status, 300)
		require.NotEqual(t, first, br.cookie("sid"), "a response without a body brings the cookie of its login")
		br.ok("/app/set?v")
		require.Equal(t, "ada v", br.ok("/app/get"))
		br.ok("/app/logout")
		require.NotContains(t, br.ok("/app/get"), "ada")
	})
}

func TestRoutersCarrySockets(t *testing.T) {
	eachRouter(t, func(t *testing.T, r router) {
		br := newBrowser(t, serve(t, r.serve(newBridge(t, newStore(), nil))))
		br.ok("/app/set?page")
		ws, _ := br.dial("/app/ws")
		require.Equal(t, `"page"`, ws.ask("x"))
		require.Contains(t, br.ok("/app/get"), "socket")
		br.ok("/app/logout")
		require.Equal(t, bridge.CodeDestroyed, ws.closed())
	})
}

// A socket's handler is all that some applications want: it works without b.Handler around the
// router.
func TestRoutersCarrySocketsWithoutTheMiddleware(t *testing.T) {
	for name, handler := range map[string]func(*bridge.Bridge) http.Handler{
		"net/http": func(b *bridge.Bridge) http.Handler { return muxPages(b) },
		"chi":      func(b *bridge.Bridge) http.Handler { return chiPages(b) },
		"gin":      func(b *bridge.Bridge) http.Handler { return ginPages(b) },
		"echo":     func(b *bridge.Bridge) http.Handler { return echoPages(b) },
		"gin behind a wrapper": func(b *bridge.Bridge) http.Handler {
			engine := gin.New()
			engine.GET("/app/ws", gin.WrapH(unwrapping(b.WebSocket(echoing, nil))))
			return engine
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t, newStore(), nil)
			site := http.NewServeMux()
			site.Handle("/", b.Handler(pages(b)))
			site.Handle("/app/", handler(b))
			br := newBrowser(t, serve(t, site))
			br.ok("/set?k=v")
			ws, _ := br.dial("/app/ws")
			require.Equal(t, `"v"`, ws.ask("x"))
		})
	}
}

func TestG3_RoutersAnswerAFailedCommitWithAnError(t *testing.T) {
	eachRouter(t, func(t *testing.T, r router) {
		st := newStore()
		br := newBrowser(t, serve(t, r.serve(newBridge(t, st, nil))))
		br.ok("/app/set?v")
		cookie := br.cookie("sid")
		st.breakDown()
		for _, page := range []string{"login", "silent", "set?lost"} {
			rep := br.get("/app/" + page)
			require.Equal(t, http.StatusServiceUnavailable, rep.status, page)
			require.Contains(t, rep.body, "could not be stored", page)
			require.Equal(t, "no-store", rep.header.Get("Cache-Control"))
		}
		st.heal()
		require.Equal(t, cookie, br.cookie("sid"))
		require.Contains(t, br.ok("/app/get"), " v")
	})
}

// bypassing are middlewares whose handlers write past the Bridge: the framework's own writer, below
// ours, sends the response.
var bypassing = map[string]func(b *bridge.Bridge) http.Handler{
	"gin": func(b *bridge.Bridge) http.Handler {
		return ginPages(b, func(c *gin.Context) {
			b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				c.Request = r
				c.Next()
			})).ServeHTTP(c.Writer, c.Request)
		})
	},
	"echo": func(b *bridge.Bridge) http.Handler {
		return echoPages(b, func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) (err error) {
				b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					c.SetRequest(r)
					err = next(c)
				})).ServeHTTP(c.Response(), c.Request())
				return err
			}
		})
	},
}

func TestResponseWrittenPastTheBridgeIsAnError(t *testing.T) {
	for name, handler := range bypassing {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t, newStore(), nil)
			failures := make(chan bridge.Failure, 10)
			b.OnFailure(func(f bridge.Failure) { failures <- f })
			br := newBrowser(t, serve(t, handler(b)))
			br.broken("/app/login")
			f := wait(t, failures)
			require.ErrorIs(t, f.Err, bridge.ErrBypassed)
			require.ErrorIs(t, f.Err, bridge.ErrHeadersSent)
			br.broken("/app/set?v")
			require.ErrorIs(t, wait(t, failures).Err, bridge.ErrBypassed)
			require.Equal(t, " <nil>", br.ok("/app/get"), "nothing is lost where nothing was to be set")
		})
	}
}

// Once a framework's writer says that the response has begun, a login fails when it is called.
func TestLoginAfterAResponseThatWasWrittenPastTheBridge(t *testing.T) {
	errs := make(chan error, 1)
	b := newBridge(t, newStore(), nil)
	engine := gin.New()
	engine.GET("/login", func(c *gin.Context) {
		b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.String(http.StatusOK, "early")
			s, err := b.Session(r)
			if err == nil {
				err = s.Login("ada")
			}
			errs <- err
		})).ServeHTTP(c.Writer, c.Request)
	})
	br := newBrowser(t, serve(t, engine))
	require.Equal(t, "early", br.ok("/login"))
	require.ErrorIs(t, wait(t, errs), bridge.ErrHeadersSent)
}
