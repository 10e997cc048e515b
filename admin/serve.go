package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// ListenAndServe serves the API at Options.Addr until ctx ends. Then it lets requests that are
// under way end, for 10 s at most, and returns nil. It returns the errors of Handler, an address
// that can't be listened at, and what makes the server fail. The server has no TLS: if the address
// can be reached from other machines, a proxy in front of it should have.
func ListenAndServe(ctx context.Context, b *bridge.Bridge, opts *Options) error {
	h, err := Handler(b, opts)
	if err != nil {
		return err
	}
	addr := DefaultAddr
	if opts != nil {
		addr = cmp.Or(opts.Addr, DefaultAddr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.WithoutCancel(ctx), "tcp", addr)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return serve(ctx, l, h)
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	if a, ok := h.(*api); ok {
		srv.RegisterOnShutdown(a.endStreams)
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }() // ends with the server
	select {
	case err := <-failed:
		return fmt.Errorf("admin: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := srv.Shutdown(patience)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = cmp.Or(err, e)
	}
	return err
}
