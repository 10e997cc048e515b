package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// ours serves the REST API over Redis. resolve is what get is in rest-sessions: it opens a session with
// its token, as an activity of its user.
func (a *restArena) ours() (*subject, error) {
	if err := a.start(); err != nil {
		return nil, err
	}
	ctx := context.Background()
	st, err := redisstore.Open(ctx, a.redis.url(), nil)
	if err != nil {
		return nil, err
	}
	b, err := bridge.New(st, &bridge.Options{Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	s := &restServer{close: func() error { return errors.Join(b.Shutdown(ctx), st.Close()) }}
	h, err := admin.Handler(b, &admin.Options{
		Keys:    []admin.Key{{Name: "bench", Secret: apiSecret, Scope: admin.ScopeWrite}},
		KeyRate: admin.Off, AddrRate: admin.Off, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	srv, ended := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}, make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	s.addr = l.Addr().String()
	s.close = func() error {
		err := srv.Close()
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return errors.Join(err, b.Shutdown(ctx), st.Close())
	}
	for i := range a.sessions() {
		cred, err := b.Create(ctx, bridge.NewSession{
			UserID: userOf(i), Addr: "192.0.2.1", Data: map[string]any{"cart": cartText()},
		})
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.gets = append(s.gets, fmt.Appendf(nil, "POST /v1/main/sessions/resolve HTTP/1.1\r\nHost: localhost\r\n"+
			"Authorization: Bearer %s\r\n%s: %s\r\nContent-Length: 0\r\n\r\n",
			apiSecret, bridge.SessionTokenHeader, cred.Token))
	}
	return a.subject(s)
}

// cartText is the value in sessionData.
func cartText() string {
	var data struct{ Cart string }
	if err := json.Unmarshal([]byte(sessionData), &data); err != nil {
		panic(err)
	}
	return data.Cart
}
