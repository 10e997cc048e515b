package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/admin"
)

// startAdmin serves the admin API and its dashboard until the shutdown, and returns its URL. It asks
// for no key, so the address must be one of this machine.
func (a *app) startAdmin(addr string, logger *slog.Logger) (url string, err error) {
	h, err := admin.Handler(a.bridge, &admin.Options{Addr: addr, Logger: logger})
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("can't listen on %s, choose another address with -admin: %w", addr, err)
	}
	a.admin.Handler, a.admin.ReadHeaderTimeout, a.admin.IdleTimeout = h, 5*time.Second, 2*time.Minute
	a.work.Go(func() {
		if err := a.admin.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the admin API ended", "error", err)
		}
	})
	return urlOf(listener.Addr()), nil
}
