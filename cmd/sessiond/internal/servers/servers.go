// Package servers runs HTTP servers until the program is to stop, and stops them gracefully.
package servers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a listener and the handler of its requests.
type Server struct {
	Listener net.Listener
	Handler  http.Handler
	// ReadTimeout limits the time in which a request has to arrive. Zero: none.
	ReadTimeout time.Duration
}

// Config is how Run works.
type Config struct {
	// Grace is how long requests that are under way, and Stop, may take at the end.
	Grace time.Duration
	// Stop is called while the servers shut down, with a context that ends after Grace. It ends what
	// the servers don't: streams and hijacked connections.
	Stop   func(ctx context.Context) error
	Logger *slog.Logger
}

// Run serves until ctx ends, or a server fails, whose error it returns. It returns when every
// server has ended; after Grace it cuts what is left, without an error.
func Run(ctx context.Context, c Config, all ...Server) error {
	failed := make(chan error, len(all))
	running := make([]*http.Server, len(all))
	var serving sync.WaitGroup
	for i, s := range all {
		running[i] = &http.Server{
			Handler:           s.Handler,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       s.ReadTimeout,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
		}
		serving.Go(func() {
			if err := running[i].Serve(s.Listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var failure error
	select {
	case failure = <-failed:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Grace)
	defer cancel()
	var ending sync.WaitGroup
	var stopped error
	ending.Go(func() { stopped = c.Stop(grace) })
	for _, srv := range running {
		ending.Go(func() {
			if srv.Shutdown(grace) != nil {
				_ = srv.Close()
			}
		})
	}
	ending.Wait()
	serving.Wait()
	if errors.Is(stopped, context.DeadlineExceeded) {
		c.Logger.Warn("the grace period has ended: connections were cut")
		stopped = nil
	}
	return cmp.Or(failure, stopped)
}
