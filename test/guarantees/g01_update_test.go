package guarantees_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG1_NoLostUpdate_IncrementsOverHTTPAndSockets(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	var wg sync.WaitGroup
	for range 2 {
		ws := br.Dial("/ws")
		wg.Go(func() {
			for range 50 {
				ws.Ask("inc")
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for range 25 {
				br.Get("/inc")
			}
		})
	}
	wg.Wait()
	require.Equal(t, "201", br.OK("/get"))
}

func TestG1_NoLostUpdate_RequestIsMergedKeyByKey(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	loaded, goOn := make(chan struct{}), make(chan struct{})
	a.SessionPage("/slow", func(s *bridge.Session) (any, error) {
		close(loaded)
		<-goOn
		s.Set("slow", "done")
		return "ok", nil
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/ws")
	var wg sync.WaitGroup
	wg.Go(func() { br.Get("/slow") })
	<-loaded
	require.Equal(t, "2", ws.Ask("inc"))
	require.Equal(t, "3", br.OK("/inc"))
	close(goOn)
	wg.Wait()
	require.Equal(t, "3", br.OK("/get"), "what the slow request didn't change keeps what others stored")
	s, err := a.GetByID(t.Context(), br.OK("/id"))
	require.NoError(t, err)
	v, _ := s.Get("slow")
	require.Equal(t, "done", v)
}

// Another writer changes the session without the lock: the function runs again on the newer record.
func TestG1_NoLostUpdate_FunctionRunsAgainOnAConflict(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var once sync.Once
	runs := 0
	a.Page("/meddled", func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), a.For(r), func(ctx context.Context, s *bridge.Session) (int, error) {
			runs++
			n, err := testkit.Increment(ctx, s)
			once.Do(func() { // another request's merged commit, which takes no lock
				other, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/hundred", nil)
				other.Header = r.Header.Clone()
				a.Handler(a.Mux).ServeHTTP(httptest.NewRecorder(), other)
			})
			return n, err
		}, nil)
	})
	a.SessionPage("/hundred", func(s *bridge.Session) (any, error) { testkit.Count.Set(s, 100); return "ok", nil })
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	require.Equal(t, "101", br.OK("/meddled"))
	require.Equal(t, 2, runs)
	require.EqualValues(t, 1, a.Stats().Reruns)
}

func TestG1_NoLostUpdate_CallsRunOneAtATime(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var mu sync.Mutex
	inside, most := 0, 0
	enter := func(d int) {
		mu.Lock()
		defer mu.Unlock()
		inside += d
		most = max(most, inside)
	}
	a.Page("/exclusive", func(r *http.Request) (any, error) {
		return "ok", a.WithSession(r, func(ctx context.Context, s *bridge.Session) error {
			enter(1)
			defer enter(-1)
			_, err := testkit.Increment(ctx, s)
			return err
		}, nil)
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/exclusive")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { br.Get("/exclusive") })
	}
	wg.Wait()
	require.Equal(t, 1, most)
	require.Equal(t, strconv.Itoa(21), br.OK("/get"))
}
