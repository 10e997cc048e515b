package guarantees_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A slow writer has outdated times of the session. Only the store knows whether it has expired: it
// has the activity of others.
func TestSessionKeptAliveByOthersIsNotGoneForASlowWriter(t *testing.T) {
	for name, c := range map[string]struct{ slow, others, runs string }{
		"request, others look":    {"/request", "/get", "1"},
		"request, others change":  {"/request", "/change", "1"},
		"function, others look":   {"/function", "/get", "1"}, // activity is no conflict
		"function, others change": {"/function", "/change", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
				h := a.Handler(a.Mux)
				visitor := webclient.Pocket{}
				a.SessionPage("/change", func(s *bridge.Session) (any, error) { s.Set("theirs", time.Now().Unix()); return "", nil })
				runs := 0
				slowly := func(_ context.Context, s *bridge.Session) error {
					if runs++; runs == 1 {
						for range 6 {
							time.Sleep(testkit.Idle / 2)
							require.Equal(t, http.StatusOK, visitor.Get(t, h, c.others).Code)
						}
					}
					s.Set("mine", true)
					return nil
				}
				a.SessionPage("/request", func(s *bridge.Session) (any, error) { err := slowly(t.Context(), s); return runs, err })
				a.Page("/function", func(r *http.Request) (any, error) { err := a.WithSession(r, slowly, nil); return runs, err })
				visitor.Get(t, h, "/inc")
				id := visitor.Get(t, h, "/id").Body.String()
				res := visitor.Get(t, h, c.slow)
				require.Equal(t, http.StatusOK, res.Code, res.Body)
				require.Equal(t, c.runs, res.Body.String())
				s := testkit.Snapshot(t, a, id)
				mine, _ := s.Get("mine")
				require.Equal(t, true, mine)
				_, theirs := s.Get("theirs")
				require.Equal(t, c.others == "/change", theirs)
			})
		})
	}
}

// Requests that change different keys don't exhaust one another's attempts to store them.
func TestG1_NoLostUpdate_ManyRequestsAtOnceEachWithItsOwnKey(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	const requests = 64
	var loaded sync.WaitGroup
	loaded.Add(requests)
	a.Page("/put", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		loaded.Done()
		loaded.Wait() // all have seen the same state
		if err == nil {
			s.Set(r.URL.Query().Get("key"), true)
		}
		return "stored", err
	})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	id := visitor.Get(t, h, "/id").Body.String()
	answers := make([]*httptest.ResponseRecorder, requests)
	var done sync.WaitGroup
	for i := range requests {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/put?key=k"+strconv.Itoa(i), nil)
		for name, value := range visitor {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		answers[i] = httptest.NewRecorder()
		done.Go(func() { h.ServeHTTP(answers[i], r) })
	}
	done.Wait()
	s := testkit.Snapshot(t, a, id)
	for i, w := range answers {
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		_, there := s.Get("k" + strconv.Itoa(i))
		require.True(t, there, "key %d", i)
	}
}

// http.TimeoutHandler answers for a function that takes too long. Whatever the function does then,
// none of its changes is stored.
func TestFunctionWhoseTimeIsUpStoresNoHalf(t *testing.T) {
	const late = 50 * time.Millisecond
	for name, c := range map[string]struct {
		before time.Duration // it changes nothing before this
		answer func(ctx context.Context) error
	}{
		"fails":                      {0, context.Cause},
		"succeeds":                   {0, func(context.Context) error { return nil }},
		"changes after the end":      {2 * late, func(context.Context) error { return nil }},
		"changes and fails after it": {2 * late, context.Cause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				result := make(chan error, 1)
				a.Mux.Handle("/transfer", http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					result <- a.WithSession(r, func(ctx context.Context, s *bridge.Session) error {
						time.Sleep(c.before)
						s.Set("from", -10)
						<-ctx.Done()
						time.Sleep(late)
						s.Set("to", 10)
						return c.answer(ctx)
					}, nil)
				}), late, "late"))
				h := a.Handler(a.Mux)
				visitor := webclient.Pocket{}
				visitor.Get(t, h, "/inc")
				id := visitor.Get(t, h, "/id").Body.String()
				require.Equal(t, http.StatusServiceUnavailable, visitor.Get(t, h, "/transfer").Code)
				require.Error(t, <-result, "it must not take its changes for stored")
				s := testkit.Snapshot(t, a, id)
				for _, key := range []string{"from", "to"} {
					_, there := s.Get(key)
					require.False(t, there, key)
				}
				require.Equal(t, "2", visitor.Get(t, h, "/inc").Body.String(), "the session is as usable as before")
			})
		})
	}
}

// Changes that were stored because a response began are not undone by a later failure, and the
// response is complete.
func TestResponseBegunWithinAFunctionThatFailsIsNotAborted(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	respond := func(w http.ResponseWriter, r *http.Request) {
		err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			s.Set("before", true)
			_, _ = w.Write([]byte("the answer"))
			s.Set("after", true)
			return testkit.ErrApp
		}, nil)
		require.ErrorIs(t, err, testkit.ErrApp)
	}
	a.Mux.HandleFunc("/flash", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		s.AddFlash("hello")
		respond(w, r)
	})
	a.Mux.HandleFunc("/enter", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		require.NoError(t, s.Login("ada"))
		respond(w, r)
	})
	a.SessionPage("/flashes", func(s *bridge.Session) (any, error) { return s.Flashes(), nil })
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	require.Equal(t, "the answer", br.OK("/flash"))
	require.Equal(t, "[hello]", br.OK("/flashes"), "once")
	require.Equal(t, "the answer", br.OK("/enter"))
	require.Equal(t, "2", br.OK("/inc"), "the browser has the login's cookie")
	s := testkit.Snapshot(t, a, id)
	require.Equal(t, "ada", s.UserID())
	_, before := s.Get("before")
	_, after := s.Get("after")
	require.True(t, before)
	require.False(t, after)
}
