package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func memoryGroups() []group {
	return []group{{
		name:   "idle connection",
		ours:   side{"ours", idleOurs},
		peer:   side{"bare", idleBare},
		rounds: 3,
		rows: []row{
			{"memory", bytesPerConn, timesBetter(1)},
			{"goroutines", perConn, exactly(1)},
		},
	}}
}

// idleConns is how many connections stand for one.
func idleConns(quick bool) int {
	if quick {
		return 200
	}
	return 2000
}

// idleOurs is a connection under the middleware, with a session, which was there before and doesn't
// count.
func idleOurs() (*subject, error) {
	s, b, err := openOurs()
	if err != nil {
		return nil, err
	}
	var reading atomic.Int64
	h := s.wrap(b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if c.SessionID() == "" {
			return bridge.ErrSessionMissing
		}
		reading.Add(1)
		defer reading.Add(-1)
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
		}
	}, nil))
	return idle(s, h, &reading), nil
}

// idleBare is coder/websocket as its documentation has it: the loop is in the handler.
func idleBare() (*subject, error) {
	s, _, err := openOurs() // for cookies of the same size
	if err != nil {
		return nil, err
	}
	var reading atomic.Int64
	return idle(s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		reading.Add(1)
		defer reading.Add(-1)
		for {
			if _, _, err := ws.Read(r.Context()); err != nil {
				return
			}
		}
	}), &reading), nil
}

// idle measures what connections to h take. reading is how many of them are being read from.
func idle(s *site, h http.Handler, reading *atomic.Int64) *subject {
	server := httptest.NewServer(h)
	var cookies []string
	return &subject{
		measure: func(quick bool) (sample, error) {
			n := idleConns(quick)
			for len(cookies) < n {
				v, err := s.plant()
				if err != nil {
					return nil, err
				}
				cookies = append(cookies, strings.Join(v.request.Header["Cookie"], "; "))
			}
			bytes, goroutines := settled()
			c, err := startClients(server.Listener.Addr().String(), cookies[:n])
			if err != nil {
				return nil, err
			}
			err = until(reading, n)
			bytesOpen, goroutinesOpen := settled()
			if err = errors.Join(err, c.stop(), until(reading, 0)); err != nil {
				return nil, err
			}
			return sample{
				bytesPerConn: float64(bytesOpen-bytes) / float64(n),
				perConn:      float64(goroutinesOpen-goroutines) / float64(n),
			}, nil
		},
		close: func() error {
			server.Close()
			return s.close()
		},
	}
}

// until waits for the count.
func until(count *atomic.Int64, n int) error {
	for deadline := time.Now().Add(patience); count.Load() != int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d connections, there should be %d", count.Load(), n)
		}
	}
	return nil
}

// settled returns the memory in use, heap and stacks, and the number of goroutines, once neither
// changes any more.
func settled() (bytes, goroutines int64) {
	read := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for calm := 0; calm < 3; {
		runtime.GC()
		metrics.Read(read)
		b, g := int64(
			read[0].Value.Uint64()+read[1].Value.Uint64(),
		), int64(
			runtime.NumGoroutine(),
		) //nolint:gosec // no machine has that much
		calm++
		if g != goroutines || b < bytes-bytes/200 { // what is being given back takes some collections to go
			calm = 0
		}
		bytes, goroutines = b, g
		time.Sleep(10 * time.Millisecond)
	}
	return bytes, goroutines
}
