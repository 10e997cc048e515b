package soak_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
)

// visitor is a browser with a session, and the counts of both. The crowd's lock guards it.
type visitor struct {
	id, user string
	cookies  string        // of its requests
	begun    int           // increments that were requested
	stored   int           // those that the server has stored
	answered int           // those whose answer has arrived
	best     int           // the highest count that was stored
	over     bridge.Reason // of its expected end; "": it stays
	ended    bridge.Reason // of its end
}

// route adds the pages of the crowd to the application.
func (c *crowd) route() {
	c.app.Page("/crowd/plant", func(r *http.Request, s *bridge.Session) (string, error) {
		endtoend.Count.Set(s, 0)
		if user := r.FormValue("user"); user != "" {
			if err := s.Login(user); err != nil {
				return "", err
			}
		}
		for param, set := range map[string]func(time.Duration){"idle": s.SetIdleTimeout, "life": s.SetLifetime} {
			if text := r.FormValue(param); text != "" {
				d, err := time.ParseDuration(text)
				if err != nil {
					return "", err
				}
				set(d)
			}
		}
		return s.ID(), nil
	})
	c.app.Mux.HandleFunc("/crowd/add", func(w http.ResponseWriter, r *http.Request) {
		endtoend.Answer(w, func() (string, error) { return c.add(r.Context(), c.app.Bridge.For(r)) })
	})
	opts := bridge.ConnOptions{
		OnMissing: bridge.CloseMissing,
		Heartbeat: c.size.heartbeat,
		ID:        func(r *http.Request) string { return r.FormValue("id") },
	}
	c.app.Mux.Handle("/crowd", c.app.Bridge.WebSocket(c.talk, &opts))
	opts.IdleTimeout = c.size.idle
	c.app.Mux.Handle("/crowd/idle", c.app.Bridge.WebSocket(c.talk, &opts))
}

// talk is the socket's handler. Any error ends it.
func (c *crowd) talk(ctx context.Context, conn *bridge.Conn) error {
	c.began(conn.ID())
	for {
		kind, _, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		n, err := c.add(ctx, conn)
		if err != nil {
			return err
		}
		if err := conn.Write(ctx, kind, []byte(n)); err != nil {
			return err
		}
	}
}

// add increments in the session, and then the visitor's own count.
func (c *crowd) add(ctx context.Context, on bridge.Sessioner) (text string, err error) {
	id, n := "", 0
	text, err = bridge.WithSession(ctx, on, func(ctx context.Context, s *bridge.Session) (string, error) {
		text, err := endtoend.Increment(ctx, s)
		id = s.ID()
		n, _ = endtoend.Count.Get(s)
		return text, err
	}, nil)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.visits[id]; v == nil {
		c.failLocked("an increment in an unknown session: %s", id)
	} else {
		v.stored++
		v.best = max(v.best, n)
	}
	return text, nil
}

// plant creates a session without the network.
func (c *crowd) plant(f *fate, user string) (*visitor, error) {
	form := url.Values{}
	if f.user {
		form.Set("user", user)
	}
	if f.idle > 0 {
		form.Set("idle", f.idle.String())
	}
	if f.life > 0 {
		form.Set("life", f.life.String())
	}
	rec := httptest.NewRecorder()
	c.app.Server.Config.Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/crowd/plant?"+form.Encode(), nil))
	v := &visitor{id: rec.Body.String(), user: user}
	v.keep(rec.Result())
	if rec.Code != http.StatusOK || v.cookies == "" {
		return nil, fmt.Errorf("plant: %d: %s", rec.Code, v.id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visits[v.id] = v
	return v, nil
}

// keep stores a response's cookies as a browser does.
func (v *visitor) keep(res *http.Response) {
	jar := map[string]string{}
	for pair := range strings.SplitSeq(v.cookies, "; ") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			jar[name] = value
		}
	}
	for _, cookie := range res.Cookies() {
		jar[cookie.Name] = cookie.Value
	}
	pairs := make([]string, 0, len(jar))
	for name, value := range jar {
		pairs = append(pairs, name+"="+value)
	}
	v.cookies = strings.Join(pairs, "; ")
}

// get requests a page over the network.
func (c *crowd) get(v *visitor, path string) (string, error) {
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.app.Server.URL+path, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Cookie", v.cookies)
	res, err := c.app.Server.Client().Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, res.Status, body)
	}
	if err == nil && path != "/logout" { // after a logout the old cookies are tried
		v.keep(res)
	}
	return string(body), err
}
