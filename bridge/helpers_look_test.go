package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// stored returns the record that a store has of a session.
func stored(t testing.TB, st store.Store, id string) store.Record {
	t.Helper()
	rec, err := st.Get(t.Context(), id)
	require.NoError(t, err)
	return rec
}

// storedCount returns how many sessions a store holds.
func storedCount(t testing.TB, st *livestore.Store) int {
	t.Helper()
	n := 0
	for _, err := range st.List(t.Context()) {
		require.NoError(t, err)
		n++
	}
	return n
}

// pocket keeps the cookies of requests that a test hands to a handler itself.
type pocket map[string]string

// send hands the handler a request with the pocket's cookies, and keeps what the response sets.
func (p pocket) send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	for name, value := range p {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(p, c.Name)
		} else {
			p[c.Name] = c.Value
		}
	}
	return w
}

// get is send for a plain GET.
func (p pocket) get(t testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	return p.send(h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

// recorder collects events of one type.
type recorder[E bridge.Event] struct {
	t      testing.TB
	events <-chan bridge.Event
}

// record collects events of type E from now on.
func record[E bridge.Event](t testing.TB, b *bridge.Bridge) *recorder[E] {
	return &recorder[E]{t, b.Subscribe(t.Context(), 10_000)}
}

// next returns the next event of the type.
func (rec *recorder[E]) next() E {
	rec.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case ev := <-rec.events:
			if e, ok := ev.(E); ok {
				return e
			}
		case <-late.C:
			require.FailNow(rec.t, "no such event")
		}
	}
}

// rest returns the events of the type that are there without waiting.
func (rec *recorder[E]) rest() (all []E) {
	for {
		select {
		case ev := <-rec.events:
			if e, ok := ev.(E); ok {
				all = append(all, e)
			}
		default:
			return all
		}
	}
}

// receive returns what comes from a channel.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v := <-from:
		return v
	case <-late.C:
		require.FailNow(t, "nothing was received")
	}
	panic("unreachable")
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}
