package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const patience = 30 * time.Second // for something that should have happened long ago

// connections are sockets of real handshakes over loopback, each of a browser and session of its
// own.
type connections struct {
	bridge  *bridge.Bridge
	site    *site
	server  *httptest.Server
	dialled []*websocket.Conn
	conns   []*bridge.Conn
}

// untilEnd is the handler of connections that are used from elsewhere.
func untilEnd(ctx context.Context, _ *bridge.Conn) error {
	<-ctx.Done()
	return nil
}

// openConnections opens n of them, with the values in their sessions besides those that every
// session here has.
func openConnections(
	n int,
	values map[string]any,
	serve func(context.Context, *bridge.Conn) error,
) (*connections, error) {
	s, b, err := openOurs()
	if err != nil {
		return nil, err
	}
	opened := make(chan *bridge.Conn, 1)
	c := &connections{
		bridge: b,
		site:   s,
		server: httptest.NewServer(b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			opened <- c
			return serve(ctx, c)
		}, nil)),
	}
	for range n {
		if err := c.dial(values, opened); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *connections) dial(values map[string]any, opened <-chan *bridge.Conn) error {
	v, err := c.site.plant()
	if err != nil {
		return err
	}
	if err := c.site.setAll(v, values); err != nil {
		return err
	}
	ws, err := dial(c.server.URL, v.request.Header["Cookie"])
	if err != nil {
		return err
	}
	conn := <-opened
	c.dialled, c.conns = append(c.dialled, ws), append(c.conns, conn)
	if conn.SessionID() == "" {
		return errors.New("the connection has no session")
	}
	return nil
}

// counted says what is wrong if the sessions haven't counted n increments together.
func (c *connections) counted(n int) error {
	total := 0
	for _, conn := range c.conns {
		s, err := c.bridge.GetByID(context.Background(), conn.SessionID())
		if err != nil {
			return err
		}
		v, _ := s.Get("n")
		count, ok := v.(int64)
		if !ok {
			return fmt.Errorf("n is %v", v)
		}
		total += int(count) - planted
	}
	return same("stored increments", total, n)
}

func (c *connections) close() error {
	for _, ws := range c.dialled {
		_ = ws.CloseNow()
	}
	err := c.site.close()
	c.server.Close()
	return err
}

func dial(url string, cookies []string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": cookies}})
	return ws, err
}
