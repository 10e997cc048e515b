package bridgetest_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// shop is the application of these tests. Its pages are /add, which counts, /cart with the count,
// /in, which logs in and redirects to /cart, and /out. Its socket /ws counts for each message;
// /strict is one that needs a session.
func shop(b *bridge.Bridge) http.Handler {
	count := bridge.NewKey[int]("n")
	mux := http.NewServeMux()
	page := func(path string, fn func(w http.ResponseWriter, r *http.Request, s *bridge.Session) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			if err == nil {
				err = fn(w, r, s)
			}
			if err != nil {
				b.WriteError(w, r, err)
			}
		})
	}
	page("POST /add", func(_ http.ResponseWriter, _ *http.Request, s *bridge.Session) error {
		n, _ := count.Get(s)
		count.Set(s, n+1)
		return nil
	})
	page("/cart", func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) error {
		n, _ := count.Get(s)
		_, err := fmt.Fprintf(w, `{"user":%q,"n":%d}`, s.UserID(), n)
		return err
	})
	page("POST /in", func(w http.ResponseWriter, r *http.Request, s *bridge.Session) error {
		if err := s.Login(r.FormValue("user")); err != nil {
			return err
		}
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
		return nil
	})
	page("POST /out", func(_ http.ResponseWriter, _ *http.Request, s *bridge.Session) error { s.Logout(); return nil })
	mux.Handle("/ws", b.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		n, _ := count.Get(s)
		count.Set(s, n+1)
		return msg.ReplyJSON(map[string]any{"n": n + 1, "said": string(msg.Data)})
	}, nil))
	mux.Handle("/strict", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
	return b.Handler(mux)
}

// failing is a testing.TB that records failures instead of failing the test.
type failing struct {
	testing.TB
	failed   bool
	texts    []string
	logs     []string
	cleanups []func()
}

func (f *failing) Helper()           {}
func (f *failing) Failed() bool      { return f.failed }
func (f *failing) Cleanup(do func()) { f.cleanups = append(f.cleanups, do) }
func (f *failing) Logf(format string, args ...any) {
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}

func (f *failing) Errorf(format string, args ...any) {
	f.failed, f.texts = true, append(f.texts, fmt.Sprintf(format, args...))
}

func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// fails runs a test with its cleanups, and returns the failures and the log.
func fails(t *testing.T, test func(t testing.TB)) (failures, logged string) {
	t.Helper()
	f := &failing{TB: t}
	for begun := false; !begun || len(f.cleanups) > 0; begun = true {
		do := func() { test(f) }
		if begun {
			last := len(f.cleanups) - 1
			do, f.cleanups = f.cleanups[last], f.cleanups[:last]
		}
		done := make(chan struct{})
		go func() { defer close(done); do() }()
		<-done
	}
	return strings.Join(f.texts, "\n"), strings.Join(f.logs, "\n")
}
