package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	crowdSize   = 10_000 // sockets, each of a session of its own
	crowdOfUser = 1_000  // of them are one user's
	crowdUser   = "crowd"
	crowdText   = `{"event":"news","text":"something that everybody wants to know at once"}`
)

func crowdGroups() []group {
	return []group{
		{
			name:   "notify 10,000 sockets",
			ours:   side{"ours", crowdNotified},
			peer:   side{"a Write each", crowdWritten},
			rounds: 3,
			rows: []row{
				{"until the last has it", totalNs, under(250 * time.Millisecond)},
				{
					"allocations per socket",
					allocsPerConn,
					target{"< 1", func(o outcome) bool { return o.ours[allocsPerConn] < 1 }},
				},
			},
		},
		{
			name:   "destroy a user with 1,000 of 10,000 sockets",
			ours:   side{"ours", crowdDestroyed},
			rounds: 3,
			rows:   []row{{"until the last is closed", totalNs, under(100 * time.Millisecond)}},
		},
		{
			name:   "what the Bridge keeps for an idle connection",
			ours:   side{"ours", crowdRegistered},
			rounds: 3,
			rows: []row{
				{"", bytesPerConn, target{"< 1KiB", func(o outcome) bool { return o.ours[bytesPerConn] < 1<<10 }}},
			},
		},
	}
}

func crowdOf(quick bool) (all, users int) {
	if quick {
		return crowdSize / 100, crowdOfUser / 100
	}
	return crowdSize, crowdOfUser
}

// hall is a server with sockets of clients in a process of their own.
type hall struct {
	server *httptest.Server
	child  *child
}

// gather opens a socket for each Cookie header. open counts them at the server.
func gather(h http.Handler, cookies []string, open *atomic.Int64) (*hall, error) {
	server := httptest.NewServer(h)
	c, err := startClients(server.Listener.Addr().String(), cookies, listenVariable+"=1")
	if err == nil {
		err = until(open, len(cookies))
	}
	if err != nil {
		server.Close()
		return nil, err
	}
	return &hall{server, c}, nil
}

func (c *hall) leave(open *atomic.Int64) error {
	defer c.server.Close()
	return errors.Join(c.child.stop(), until(open, 0))
}

// reading is a handler that reads until the connection ends, and counts those that are open.
func reading(open *atomic.Int64) func(context.Context, *bridge.Conn) error {
	return func(ctx context.Context, c *bridge.Conn) error {
		open.Add(1)
		defer open.Add(-1)
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
		}
	}
}

// visitors returns the Cookie headers of n sessions, the first of which are the user's.
func visitors(s *site, b *bridge.Bridge, n, users int) ([]string, error) {
	cookies := make([]string, n)
	for i := range cookies {
		v, err := s.plant()
		if err != nil {
			return nil, err
		}
		if i < users {
			v.keep()
			err = s.visitOnce(v, func(_ http.ResponseWriter, r *http.Request) error {
				session, err := b.Session(r)
				if err != nil {
					return err
				}
				return session.Login(crowdUser)
			})
		}
		if err != nil {
			return nil, err
		}
		v.keep()
		cookies[i] = strings.Join(v.request.Header["Cookie"], "; ")
	}
	return cookies, nil
}

// timed runs do and returns how long it took until the child's clients had heard n messages or
// closes, and what it allocated.
func (c *hall) timed(what string, n int, do func() error) (sample, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	if err := do(); err != nil {
		return nil, err
	}
	last, err := c.child.heard(what, n)
	runtime.ReadMemStats(&after)
	return sample{
		totalNs:       float64(last.Sub(start)),
		allocsPerConn: float64(after.Mallocs-before.Mallocs) / float64(n),
	}, err
}

// notifyRounds measures a second message: the first has made what the connections keep.
func (c *hall) notifyRounds(n int, do func() error) (s sample, err error) {
	for round := range 2 {
		if s, err = c.timed("messages", (round+1)*n, do); err != nil {
			return nil, err
		}
	}
	s[allocsPerConn] *= 2 // of n messages, not of 2n
	return s, nil
}

// crowded is a subject that gathers a crowd for each measurement: users of them are one user's
// sessions if ofUser is set.
func crowded(ofUser bool, handler func(s *site, b *bridge.Bridge, open *atomic.Int64) http.Handler,
	measure func(b *bridge.Bridge, c *hall, open *atomic.Int64, n, users int) (sample, error),
) (*subject, error) {
	s, b, err := openOurs()
	if err != nil {
		return nil, err
	}
	return &subject{
		measure: func(quick bool) (sample, error) {
			n, users := crowdOf(quick)
			if !ofUser {
				users = 0
			}
			cookies, err := visitors(s, b, n, users)
			if err != nil {
				return nil, err
			}
			var open atomic.Int64
			c, err := gather(handler(s, b, &open), cookies, &open)
			if err != nil {
				return nil, err
			}
			got, err := measure(b, c, &open, n, users)
			return got, errors.Join(err, c.leave(&open))
		},
		close: s.close,
	}, nil
}

// listening is a handler of ours that reads.
func listening(s *site, b *bridge.Bridge, open *atomic.Int64) http.Handler {
	return s.wrap(b.WebSocket(reading(open), nil))
}

func crowdNotified() (*subject, error) {
	return crowded(false, listening, func(b *bridge.Bridge, c *hall, _ *atomic.Int64, n, _ int) (sample, error) {
		return c.notifyRounds(n, func() error {
			sent, err := b.Notify(context.Background(), bridge.To{All: true}, []byte(crowdText))
			return errors.Join(err, same("connections", sent, n))
		})
	})
}

// crowdWritten is coder/websocket with a list of connections and a Write to one after the other.
func crowdWritten() (*subject, error) {
	var mu sync.Mutex
	var conns []*websocket.Conn
	handler := func(_ *site, _ *bridge.Bridge, open *atomic.Int64) http.Handler {
		mu.Lock()
		conns = nil
		mu.Unlock()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer func() { _ = ws.CloseNow() }()
			mu.Lock()
			conns = append(conns, ws)
			mu.Unlock()
			open.Add(1)
			defer open.Add(-1)
			for {
				if _, _, err := ws.Read(r.Context()); err != nil {
					return
				}
			}
		})
	}
	return crowded(false, handler, func(_ *bridge.Bridge, c *hall, _ *atomic.Int64, n, _ int) (sample, error) {
		return c.notifyRounds(n, func() error {
			mu.Lock()
			defer mu.Unlock()
			for _, ws := range conns {
				if err := ws.Write(context.Background(), websocket.MessageText, []byte(crowdText)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func crowdDestroyed() (*subject, error) {
	return crowded(true, listening, func(b *bridge.Bridge, c *hall, open *atomic.Int64, n, users int) (sample, error) {
		got, err := c.timed("closes", users, func() error {
			ended, err := b.DestroyUser(context.Background(), crowdUser)
			return errors.Join(err, same("sessions ended", ended, users))
		})
		if err == nil {
			err = until(open, n-users)
		}
		return got, err
	})
}

// crowdRegistered is what the Bridge itself keeps for an idle connection: its entry in every list,
// its session's, its context. The connection, its buffers and the goroutine that reads from it are
// not there.
func crowdRegistered() (*subject, error) {
	s, b, err := openOurs()
	if err != nil {
		return nil, err
	}
	var all []*visitor
	return &subject{
		measure: func(quick bool) (sample, error) {
			n, _ := crowdOf(quick)
			n = max(n, crowdSize/5) // fewer, and what else happens in the heap is larger
			for len(all) < n {
				v, err := s.plant()
				if err != nil {
					return nil, err
				}
				v.keep()
				all = append(all, v)
			}
			links := make([]*bridge.Link, 0, n)
			before := heapInUse()
			for _, v := range all[:n] {
				err := s.visitOnce(v, func(_ http.ResponseWriter, r *http.Request) error {
					l, err := b.Attach(r, func(int, string) {})
					links = append(links, l)
					return err
				})
				if err != nil {
					return nil, err
				}
			}
			took := heapInUse() - before
			err := same("links", b.Stats().Conns, n)
			for _, l := range links {
				l.Detach()
			}
			return sample{bytesPerConn: float64(took) / float64(n)}, err
		},
		close: s.close,
	}, nil
}
