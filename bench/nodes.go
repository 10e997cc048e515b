package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// benchNode is one of several Bridges on one server, with a client of its own.
type benchNode struct {
	store nodeStore
	b     *bridge.Bridge
	app   http.Handler
	open  atomic.Int64 // sockets
	told  atomic.Int64 // what other nodes have told it
	hall  *hall
}

// nodeStore is the store of a node.
type nodeStore interface {
	store.Store
	io.Closer
}

// nodeServer is the server on which nodes share their sessions.
type nodeServer interface {
	// open opens a store of it. told, if the server is one whose messages are counted, counts what others tell.
	open(told *atomic.Int64) (nodeStore, error)
	close() error
}

// nodesOnRedis is a Redis, whose messages are counted.
type nodesOnRedis struct{ *redisServer }

func (r nodesOnRedis) open(told *atomic.Int64) (nodeStore, error) {
	st, err := redisstore.Open(context.Background(), r.url(), nil)
	if err != nil {
		return nil, err
	}
	return countedStore{st, told}, nil
}

// countedStore counts what its node is told.
type countedStore struct {
	*redisstore.Store
	told *atomic.Int64
}

// Watch implements store.Watcher.
func (c countedStore) Watch(tell func(store.Change)) store.Node {
	return c.Store.Watch(func(ch store.Change) {
		c.told.Add(1)
		tell(ch)
	})
}

func redisForNodes() (nodeServer, error) {
	s, err := startRedis()
	return nodesOnRedis{s}, err
}

// nodesOnPostgres is a PostgreSQL.
type nodesOnPostgres struct{ *postgresServer }

func (p nodesOnPostgres) open(*atomic.Int64) (nodeStore, error) { return p.store("nodes") }

func postgresForNodes() (nodeServer, error) {
	s, err := startPostgres(0)
	return nodesOnPostgres{s}, err
}

// fleet is nodes on a server of their own.
type fleet struct {
	server nodeServer
	nodes  []*benchNode
}

func startFleet(start func() (nodeServer, error), n int) (f *fleet, err error) {
	f = &fleet{}
	if f.server, err = start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	for range n {
		node := &benchNode{}
		if node.store, err = f.server.open(&node.told); err != nil {
			return nil, err
		}
		f.nodes = append(f.nodes, node)
		if node.b, err = bridge.New(node.store, &bridge.Options{Keys: [][]byte{signingKey}}); err != nil {
			return nil, err
		}
		node.route()
	}
	for _, node := range f.nodes {
		if err := eventually(func() bool { return node.b.Stats().Healthy }); err != nil {
			return nil, fmt.Errorf("a node doesn't join: %w", err)
		}
	}
	return f, nil
}

// eventually waits until it is so.
func eventually(is func() bool) error {
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("not in time")
		}
	}
	return nil
}

func (n *benchNode) route() {
	mux := http.NewServeMux()
	change := func(do func(*bridge.Session) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			err := n.b.WithSession(r, func(_ context.Context, s *bridge.Session) error { return do(s) }, nil)
			if err != nil {
				http.Error(w, err.Error(), bridge.HTTPStatus(err))
			}
		}
	}
	mux.Handle("/set", change(func(s *bridge.Session) error { s.Set("n", rand.Int64()); return nil }))
	mux.Handle("/login", change(func(s *bridge.Session) error { s.Set("n", 0); return s.Login(crowdUser) }))
	mux.Handle("/logout", change(func(s *bridge.Session) error { s.Logout(); return nil }))
	mux.Handle("/", n.b.WebSocket(reading(&n.open), nil))
	n.app = n.b.Handler(mux)
}

// ask sends a request with the cookies, and returns those that the client has then.
func (n *benchNode) ask(path, cookies string) (string, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://bench.test"+path, nil)
	if err != nil {
		return "", err
	}
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	n.app.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return "", fmt.Errorf("%s: %d %s", path, w.Code, w.Body)
	}
	all := map[string]string{}
	for _, c := range r.Cookies() {
		all[c.Name] = c.Value
	}
	for _, c := range w.Result().Cookies() { //nolint:bodyclose // it has nothing to close
		all[c.Name] = c.Value
	}
	var pairs []string
	for name, value := range all {
		pairs = append(pairs, name+"="+value)
	}
	return strings.Join(pairs, "; "), nil
}

// visitors makes sessions, several at a time, by asking one of the nodes for the path.
func (f *fleet) visitors(n int, path string) ([]string, error) {
	cookies := make([]string, n)
	return cookies, atATime(n, func(i int) (err error) {
		cookies[i], err = f.nodes[i%len(f.nodes)].ask(path, "")
		return err
	})
}

// atATime does something n times, some at a time, and returns the first error.
func atATime(n int, do func(i int) error) (first error) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var next atomic.Int64
	for range 8 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	return first
}

func (f *fleet) close() (err error) {
	for _, n := range f.nodes {
		if n.hall != nil {
			err = errors.Join(err, n.hall.leave(&n.open))
		}
		if n.b != nil {
			err = errors.Join(err, n.b.Shutdown(context.Background()))
		}
		err = errors.Join(err, n.store.Close())
	}
	return errors.Join(err, f.server.close())
}

// gather opens sockets at a node.
func (n *benchNode) gather(cookies []string) (err error) {
	n.hall, err = gather(n.app, cookies, &n.open)
	return err
}

// percentile returns the time that so many percent are at or below.
func percentile(times []time.Duration, percent int) float64 {
	slices.Sort(times)
	return float64(times[min(len(times)-1, len(times)*percent/100)])
}
