package compat_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func timeoutAfter(d time.Duration) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler { return http.TimeoutHandler(h, d, "too slow") }
}

func unchanged(h http.Handler) http.Handler { return h }

// sides are the two places where another middleware can be.
var sides = []struct {
	name string
	put  func(mw func(http.Handler) http.Handler) (outside, inside func(http.Handler) http.Handler)
}{
	{"outside", func(mw func(http.Handler) http.Handler) (_, _ func(http.Handler) http.Handler) { return mw, unchanged }},
	{"inside", func(mw func(http.Handler) http.Handler) (_, _ func(http.Handler) http.Handler) { return unchanged, mw }},
}

func TestTimeoutHandlerThatDoesNotHit(t *testing.T) {
	for _, side := range sides {
		t.Run(side.name, func(t *testing.T) {
			outside, inside := side.put(timeoutAfter(patience))
			st := newStore()
			br := appWithin(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
				s.Set("k", "v")
				_, _ = io.WriteString(w, "ok")
			}, outside, inside)
			rep := br.get("/do")
			require.Equal(t, "ok", rep.body)
			require.Equal(t, []string{"sid", "sid.cid"}, setCookies(rep.header))
			require.Equal(t, "v", br.value("k"))
		})
	}
}

func TestG3_TimeoutHandlerAndAFailingStore(t *testing.T) {
	for _, side := range sides {
		t.Run(side.name, func(t *testing.T) {
			outside, inside := side.put(timeoutAfter(patience))
			st := newStore()
			br := appWithin(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
				if r.URL.RawQuery == "late" {
					_, _ = io.WriteString(w, "ok")
				}
				s.Set("k", "changed")
				_, _ = io.WriteString(w, "ok")
			}, outside, inside)
			br.ok("/set?k=v")
			st.breakDown()
			rep := br.get("/do")
			require.Equal(t, http.StatusServiceUnavailable, rep.status)
			require.NotContains(t, rep.body, "ok")

			// Inside, the TimeoutHandler holds the answer back until the handler is done: the change is not late any more.
			late := br.do(http.MethodGet, "/do?late", nil)
			if late.err == nil {
				require.Equal(t, http.StatusServiceUnavailable, late.status)
				require.NotContains(t, late.body, "ok")
			}
			st.heal()
			require.Equal(t, "v", br.value("k"))
		})
	}
}

// slow is an application whose handler is still at work when the timeout hits.
type slow struct {
	br   *browser
	st   *failingStore
	late chan func(s *bridge.Session, r *http.Request) // what the handler does when it is too late
	done chan struct{}
	*deadline
}

func newSlow(t *testing.T, side string, early func(s *bridge.Session)) *slow {
	t.Helper()
	sl := &slow{st: newStore(), late: make(chan func(*bridge.Session, *http.Request)), done: make(chan struct{}), deadline: newDeadline()}
	var outside, inside func(http.Handler) http.Handler
	for _, s := range sides {
		if s.name == side {
			outside, inside = s.put(sl.limit)
		}
	}
	b := newBridge(t, sl.st, nil)
	mux := pages(b)
	mux.Handle("/do", inside(do(b, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		defer close(sl.done)
		early(s)
		_, _ = io.WriteString(w, "never seen")
		sl.pass()
		(<-sl.late)(s, r)
	})))
	handler := b.Handler(mux)
	limited := outside(handler)
	sl.br = newBrowser(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/do" {
			limited.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})))
	return sl
}

// after lets the handler go on, and waits for its end.
func (sl *slow) after(t *testing.T, act func(s *bridge.Session, r *http.Request)) {
	t.Helper()
	sl.late <- act
	wait(t, sl.done)
}

// The answer has gone, and the middleware has returned: the handler's Session is sealed, for ever.
func TestTimeoutInsideSealsTheSession(t *testing.T) {
	sl := newSlow(t, "inside", func(s *bridge.Session) { s.Set("early", "v") })
	sl.br.ok("/set?k=v")
	rep := sl.br.get("/do")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.Equal(t, "too slow", rep.body)
	require.Equal(t, "v", sl.br.value("early"), "what was changed until then is stored, as with any other answer")

	stored := sl.st.stored()
	var login, again error
	sl.after(t, func(s *bridge.Session, _ *http.Request) {
		s.Set("late", "v")
		login = s.Login("ada")
		again = s.Encode(map[string]any{"late": "v"})
		s.Destroy()
	})
	require.Error(t, login)
	require.ErrorIs(t, again, bridge.ErrSessionClosed)
	require.Equal(t, stored, sl.st.stored())
	require.Equal(t, "none", sl.br.value("late"))
	require.Equal(t, "v", sl.br.value("k"), "nor has it ended")
}

func TestTimeoutInsideGivesNoSessionAnyMore(t *testing.T) {
	for _, opened := range []bool{true, false} {
		b := newBridge(t, newStore(), nil)
		mux := pages(b)
		goOn, errs, limit := make(chan struct{}), make(chan error, 2), newDeadline()
		mux.Handle("/do", limit.limit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if opened {
				_, _ = b.Session(r)
			}
			limit.pass()
			<-goOn
			// The request's own context has ended; that is not what the test is about.
			r = r.WithContext(context.WithoutCancel(r.Context()))
			_, err := b.Session(r)
			errs <- err
			errs <- b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
				s.Set("late", "v")
				return nil
			}, nil)
		})))
		br := newBrowser(t, serve(t, b.Handler(mux)))
		br.ok("/set?k=v")
		require.Equal(t, http.StatusServiceUnavailable, br.get("/do").status)
		close(goOn)
		require.ErrorIs(t, wait(t, errs), bridge.ErrSessionClosed)
		require.ErrorIs(t, wait(t, errs), bridge.ErrSessionClosed)
		require.Equal(t, "none", br.value("late"))
	}
}

// A function of WithSession that outlives its request either has its change stored or is told that it hasn't.
func TestG1_TimeoutWithinWithSessionLosesNothingSilently(t *testing.T) {
	for _, side := range []string{"inside", "outside"} {
		t.Run(side, func(t *testing.T) {
			b := newBridge(t, newStore(), nil)
			mux := pages(b)
			goOn, errs, limit := make(chan struct{}), make(chan error, 1), newDeadline()
			act := http.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				errs <- b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
					limit.pass()
					<-goOn
					s.Set("late", "v")
					return nil
				}, nil)
			}))
			if side == "inside" {
				act = limit.limit(act)
			}
			mux.Handle("/do", act)
			handler := b.Handler(mux)
			site := http.NewServeMux()
			site.Handle("/", handler)
			if side == "outside" {
				site.Handle("/do", limit.limit(handler))
			}
			br := newBrowser(t, serve(t, site))
			br.ok("/set?k=v")
			require.Equal(t, http.StatusServiceUnavailable, br.get("/do").status)
			close(goOn)
			err := wait(t, errs)
			require.Equal(t, err == nil, br.value("late") == "v", "WithSession said %v", err)
		})
	}
}

// The middleware is still at work, with a ResponseWriter that nobody reads any more.
func TestG2_TimeoutOutsideResurrectsNothing(t *testing.T) {
	sl := newSlow(t, "outside", func(*bridge.Session) {})
	sl.br.ok("/set?k=v")
	rep := sl.br.get("/do")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.Equal(t, "too slow", rep.body)
	sl.br.ok("/logout")
	sl.after(t, func(s *bridge.Session, _ *http.Request) { s.Set("late", "v") })
	n, err := sl.st.sessions(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, "none", sl.br.value("late"))
}

func TestG2_TimeoutInsideResurrectsNothing(t *testing.T) {
	sl := newSlow(t, "inside", func(s *bridge.Session) { s.Set("early", "v") })
	sl.br.ok("/set?k=v")
	require.Equal(t, http.StatusServiceUnavailable, sl.br.get("/do").status)
	sl.br.ok("/logout")
	sl.after(t, func(s *bridge.Session, _ *http.Request) { s.Set("late", "v") })
	n, err := sl.st.sessions(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

// Whatever the handler does at the moment of the timeout, there is no race.
func TestTimeoutAmidstChanges(t *testing.T) {
	for _, side := range []string{"inside", "outside"} {
		t.Run(side, func(t *testing.T) {
			var sl *slow
			answered, ended := make(chan struct{}), make(chan struct{})
			sl = newSlow(t, side, func(s *bridge.Session) {
				for i, over := 0, false; !over; i++ {
					s.Set("i", i)
					s.AddFlash(i)
					s.Flashes()
					_ = s.Encode(map[string]int{"j": i})
					_, _ = s.Get("j")
					if i == 100 {
						sl.pass()
					}
					select {
					case <-answered:
						over = true
					default:
					}
				}
				close(ended)
			})
			sl.br.ok("/set?k=v")
			require.Equal(t, http.StatusServiceUnavailable, sl.br.get("/do").status)
			close(answered)
			wait(t, ended)
			sl.after(t, func(s *bridge.Session, _ *http.Request) { s.Delete("i") })
			require.Equal(t, "v", sl.br.value("k"))
		})
	}
}
