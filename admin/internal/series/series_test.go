package series

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// slowStore answers a Ping after a time.
type slowStore struct {
	*livestore.Store
	ping time.Duration
	err  error
}

func (s *slowStore) Ping(context.Context) error {
	time.Sleep(s.ping)
	return s.err
}

func start(t *testing.T, cfg Config) (*bridge.Bridge, *slowStore, *Series) {
	t.Helper()
	st := &slowStore{Store: livestore.New(), ping: 3 * time.Millisecond}
	b, err := bridge.New(st, nil)
	require.NoError(t, err)
	s := Start(b, cfg)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	return b, st, s
}

// tick lets an interval end, and its measuring.
func tick(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	time.Sleep(10 * time.Millisecond)
}

func last(t Table, column string) *float64 {
	values := t.Columns[column]
	return values[len(values)-1]
}

func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, st, s := start(t, Config{Every: 5 * time.Second, Keep: 3})
		empty := s.After(time.Time{})
		require.Empty(t, empty.Times)
		require.Len(t, empty.Columns, len(Columns()))

		for range 10 {
			_, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
			require.NoError(t, err)
		}
		tick(5 * time.Second)
		got := s.After(time.Time{})
		require.Len(t, got.Times, 1)
		for column, want := range map[string]float64{
			"writes": 2, "logins": 2, "destroys": 0, "connections": 0, "storePing": 0.003, "storeErrors": 0,
		} {
			require.Equal(t, want, *last(got, column), column)
		}
		require.Nil(t, last(got, "revocation50"))

		st.err = errors.New("away")
		_, err := b.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		tick(5*time.Second - 10*time.Millisecond)
		got = s.After(time.Unix(got.Times[0], 0))
		require.Len(t, got.Times, 1)
		require.Equal(t, 0.0, *last(got, "writes"))
		require.Equal(t, 2.0, *last(got, "destroys"))
		require.Nil(t, last(got, "storePing"))
		for _, values := range got.Columns {
			require.Len(t, values, 1)
		}

		tick(5*time.Second - 10*time.Millisecond)
		tick(5*time.Second - 10*time.Millisecond)
		got = s.After(time.Time{})
		require.Len(t, got.Times, 3, "the oldest is forgotten")
		require.EqualValues(t, 5, got.Times[1]-got.Times[0])
	})
}

func TestRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, s := start(t, Config{Every: 5 * time.Second, Keep: 3})
		mux := http.NewServeMux()
		mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) {
			session, err := b.Session(r)
			if err == nil {
				err = session.Login("ada")
			}
			if err != nil {
				panic(err)
			}
		})
		mux.Handle("/ws", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			_, _, err := c.Read(ctx)
			return err
		}, nil))
		visitor := webclient.NewBrowser(t, webclient.ServeInMemory(t, b.Handler(mux)))
		visitor.OK("/login")
		closed := visitor.Dial("/ws").WhenClosed()
		synctest.Wait()
		_, err := b.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, bridge.CodeDestroyed, <-closed)
		tick(5 * time.Second)
		got := s.After(time.Time{})
		require.Equal(t, 0.2, *last(got, "connects"))
		require.Equal(t, 0.2, *last(got, "disconnects"))
		require.Equal(t, 0.0, *last(got, "revocation99"), "at once, in fake time")
	})
}

func TestSeriesEndsWithTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, s := start(t, Config{Every: 5 * time.Second, Keep: 3})
		tick(5 * time.Second)
		require.Len(t, s.After(time.Time{}).Times, 1)
		require.NoError(t, b.Shutdown(t.Context()))
		tick(time.Minute)
		require.Len(t, s.After(time.Time{}).Times, 1)
	})
}

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	require.Equal(t, 3.0, quantile(values, 0.5))
	require.Equal(t, 5.0, quantile(values, 0.99))
	require.Equal(t, 1.0, quantile(values, 0))
	require.Equal(t, 7.0, quantile([]float64{7}, 0.5))
}

func TestEndsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		for i := range 2 * maxEnded {
			c.add(bridge.SessionDestroy{SessionID: string(rune(i + 1))})
		}
		require.Len(t, c.ended, maxEnded)
		time.Sleep(longestClose + 1)
		require.EqualValues(t, 2*maxEnded, c.take().destroys)
		require.Empty(t, c.ended)
		c.add(bridge.SessionDestroy{SessionID: "s"})
		for range 2 * maxRevocations {
			time.Sleep(time.Microsecond)
			c.add(bridge.ConnClose{SessionID: "s"})
		}
		c.add(bridge.ConnClose{SessionID: "another"})
		require.Len(t, c.take().revocations, maxRevocations)
	})
}
