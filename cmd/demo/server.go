package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/jsclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// app is the application: a Bridge, the goroutine that reports changes to the sockets, and with
// -admin the server of the admin API.
type app struct {
	bridge *bridge.Bridge
	admin  http.Server
	work   sync.WaitGroup
}

func newApp(sessions store.Store, opts bridge.Options) (*app, error) {
	opts.LastMessage = lastMessage
	b, err := bridge.New(sessions, &opts)
	if err != nil {
		return nil, err
	}
	a := &app{bridge: b}
	events := b.Subscribe(context.Background(), 1024)
	a.work.Go(func() { newFeed(a).run(events) }) // ends with the Bridge
	return a, nil
}

// maxWaiting is the number of messages that may be queued for a socket: enough for a burst of
// changes. A slower socket is closed, and its page reconnects to read everything that it has
// missed.
const maxWaiting = 256

// shutdownGrace limits the time for open requests and sockets to end.
const shutdownGrace = 10 * time.Second

// serve serves until ctx ends.
func (a *app) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // these two apply to requests, not to sockets
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ends with Shutdown
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	// First the requests, which need the Bridge; then the sockets, which the server doesn't track.
	return errors.Join(err, server.Shutdown(grace), a.shutdown(grace))
}

// shutdown closes the sockets and stops every goroutine of the application.
func (a *app) shutdown(ctx context.Context) error {
	if err := a.bridge.Shutdown(ctx); err != nil {
		return err // some goroutines are still running
	}
	err := a.admin.Close()
	a.work.Wait()
	return err
}

// handler has all routes. From the outside in: headers of all answers, protection against
// cross-site requests, sessions.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	mux.Handle("GET /bridge.js", jsclient.Handler())
	mux.Handle("GET /api/session", jsonHandler(a.getSession))
	mux.Handle("POST /api/increment", jsonHandler(a.postIncrement))
	mux.Handle("POST /api/login", jsonHandler(a.postLogin))
	mux.Handle("POST /api/logout", jsonHandler(a.postLogout))
	mux.Handle("GET /api/devices", jsonHandler(a.getDevices))
	mux.Handle("POST /api/signout", jsonHandler(a.postSignOut))
	mux.Handle("POST /api/signout/others", jsonHandler(a.postSignOutOthers))
	mux.Handle("POST /api/signout/everywhere", jsonHandler(a.postSignOutEverywhere))
	mux.Handle("POST /api/close", jsonHandler(a.postClose))
	mux.Handle("POST /api/notify", jsonHandler(a.postNotify))
	mux.HandleFunc("/api/", noSuchRoute)
	mux.Handle("GET /ws", a.bridge.WebSocket(a.serveSocket, &bridge.ConnOptions{NotifyQueue: maxWaiting}))

	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusForbidden, failure{Error: "requests from other sites are refused"})
	}))
	outer := http.NewServeMux()
	outer.HandleFunc("GET /healthz", a.health) // outside of the Bridge: a load balancer has no session
	outer.Handle("/", sameOrigin.Handler(a.bridge.Handler(mux)))
	return secureHeaders(outer)
}

// health is for load balancers and alarms: 503 while the session store is unreachable, and whether
// this process receives the changes of others.
func (a *app) health(w http.ResponseWriter, r *http.Request) {
	if err := a.bridge.Ping(r.Context()); err != nil {
		writeJSON(w, http.StatusServiceUnavailable, failure{Error: "the session store doesn't respond"})
		return
	}
	stats := a.bridge.Stats()
	writeJSON(w, http.StatusOK, struct {
		OK      bool `json:"ok"`
		Healthy bool `json:"healthy"` // false should raise an alarm, but this process can serve
		Conns   int  `json:"conns"`
	}{true, stats.Healthy, stats.Conns})
}

// secureHeaders sets security headers on every answer.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
