package bridge_test

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// ledger is an Observer that keeps what a gauge would be, and what can't be.
type ledger struct {
	mu       sync.Mutex               // for the test's own looks
	begun    map[string]bool          // false: and ended
	open     map[string]bool          // connections
	ended    map[string]chan struct{} // closed at the session's end
	users    *loggedIn
	sessions int // now
	conns    int // now
	wrong    []string
	all      int // sessions that have begun
}

func newLedger(b *bridge.Bridge) *ledger {
	l := &ledger{begun: make(map[string]bool), open: make(map[string]bool), ended: make(map[string]chan struct{})}
	l.users = newLoggedIn(func(users int) { l.check(users >= 0, "%d users", users) })
	in := func(do func()) { l.mu.Lock(); defer l.mu.Unlock(); do() }
	b.Observe(bridge.Observer{
		SessionSet: func(e bridge.SessionSet) {
			in(func() {
				if e.IsInit {
					_, before := l.begun[e.SessionID]
					l.check(!before, "%s begins twice", e.SessionID)
					l.begun[e.SessionID] = true
					l.sessions++
					l.all++
				}
				l.check(l.begun[e.SessionID] || e.Via == bridge.ViaNode, "%s changes before its beginning, or after its end", e.SessionID)
				l.users.is(e.SessionID, e.UserID)
			})
		},
		SessionDestroy: func(e bridge.SessionDestroy) {
			in(func() {
				l.check(l.begun[e.SessionID], "%s ends before its beginning", e.SessionID)
				l.check(e.UserID == l.users.userOf[e.SessionID], "%s is %q's at its end", e.SessionID, e.UserID)
				l.begun[e.SessionID] = false
				l.sessions--
				l.check(l.sessions >= 0, "%d sessions", l.sessions)
				l.users.is(e.SessionID, "")
				if ended := l.ended[e.SessionID]; ended != nil {
					close(ended)
					delete(l.ended, e.SessionID)
				}
			})
		},
		ConnOpen: func(e bridge.ConnOpen) {
			in(func() {
				live, known := l.begun[e.SessionID] // otherwise it has ended during the handshake
				l.check(known, "%s is opened before its session's beginning", e.ConnID)
				l.check(!live || e.UserID == l.users.userOf[e.SessionID], "%s is %q's", e.ConnID, e.UserID)
				l.open[e.ConnID] = true
				l.conns++
			})
		},
		ConnClose: func(e bridge.ConnClose) {
			in(func() {
				l.check(l.open[e.ConnID], "%s is closed before it is opened", e.ConnID)
				l.check(e.UserID != "", "%s is nobody's", e.ConnID)
				delete(l.open, e.ConnID)
				l.conns--
			})
		},
		Missed: func(e bridge.Missed) { in(func() { l.check(false, "missed %d", e.Events) }) },
	})
	return l
}

// check needs the lock.
func (l *ledger) check(ok bool, format string, args ...any) {
	if !ok && len(l.wrong) < 10 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// end returns what is closed when the session's end has been told.
func (l *ledger) end(id string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := make(chan struct{})
	l.ended[id] = ended
	return ended
}

// requireOver waits until so many sessions have begun and nothing is left of them.
func (l *ledger) requireOver(t *testing.T, sessions int, msgAndArgs ...any) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.all >= sessions && l.sessions == 0 && l.conns == 0 && len(l.users.sessions) == 0
	}, await.Limit, time.Millisecond, msgAndArgs...)
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.wrong)
	require.Equal(t, sessions, l.all, msgAndArgs...)
}

// crowd runs n sessions, some at a time.
func crowd(n int, session func(i int)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range 64 {
		running.Go(func() {
			for i := next.Add(1); int(i) <= n; i = next.Add(1) {
				session(int(i))
			}
		})
	}
	running.Wait()
}

// As an operator's gauge: 8,000 sessions begin and end, over HTTP and sockets, and no end comes
// before its beginning.
func TestOneObserverKeepsAGaugeRightInACrowd_Soak(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{StoreTimeout: time.Hour}) // on a busy machine a call takes seconds
	l := newLedger(a.Bridge)
	h, site := a.Handler(a.Mux), a.Serve(t)
	sessions := 2000
	if os.Getenv("SOAK") != "" {
		sessions = 8000
	}
	crowd(sessions, func(i int) {
		user := fmt.Sprint("user", i%500)
		if i%16 != 0 {
			p := webclient.Pocket{}
			p.Get(t, h, "/login?user="+user)
			id := p.Get(t, h, "/id").Body.String()
			ended := l.end(id)
			switch i % 4 {
			case 1: // another user in the first one's place
				p.Get(t, h, "/login?user=another"+user)
			case 2:
				p.Get(t, h, "/inc")
			}
			if i%3 == 0 {
				_, _ = a.DestroyByID(t.Context(), id)
			} else {
				p.Get(t, h, "/logout")
			}
			<-ended
			return
		}
		br := webclient.NewBrowser(t, site)
		defer br.Client.CloseIdleConnections()
		if res := br.Get("/login?user=" + user); res.Status != http.StatusOK {
			t.Errorf("no login: %d %s", res.Status, res.Body)
			return
		}
		ended := l.end(br.Get("/id").Body)
		ws, _, err := br.TryDial("/ws", nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = ws.Conn.CloseNow() }()
		if i%32 == 0 {
			ws.Say("logout")
		} else {
			br.Get("/logout")
		}
		<-ended
	})
	l.requireOver(t, sessions)
	require.Zero(t, a.Stats().EventsDropped)
}

// On each of two nodes the same holds of what that node has seen. The end of a session that was
// used here for the first time just before may come late: when the node looks.
func TestOneObserverOnEachNodeKeepsItsGaugeRight(t *testing.T) {
	t.Parallel()
	h, apps := testkit.NewNodes(t, 2, bridge.Options{StoreTimeout: time.Hour}) // likewise
	var ledgers []*ledger
	var handlers []http.Handler
	for _, a := range apps {
		ledgers = append(ledgers, newLedger(a.Bridge))
		handlers = append(handlers, a.Handler(a.Mux))
	}
	const sessions = 1000
	crowd(sessions, func(i int) {
		here, there := handlers[i%2], handlers[(i+1)%2]
		p := webclient.Pocket{}
		p.Get(t, here, fmt.Sprint("/login?user=user", i%100))
		ended := ledgers[(i/2)%2].end(p.Get(t, here, "/id").Body.String())
		p.Get(t, there, "/inc")
		if i%3 == 0 {
			p.Get(t, there, fmt.Sprint("/login?user=another", i%100))
		}
		p.Get(t, handlers[(i/2)%2], "/logout")
		<-ended
	})
	for i, l := range ledgers {
		h.Node(i).Tell(store.Change{Kind: store.ChangeMissed}) // it looks
		l.requireOver(t, sessions, "each was used at both")
		require.Zero(t, apps[i].Stats().EventsDropped)
	}
}
