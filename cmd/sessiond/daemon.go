package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/listen"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/servers"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/status"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/storage"
)

// service is what serve and proxy have in common: a store, its Bridge, and the API.
type service struct {
	settings *settings
	logger   *slog.Logger
	sessions storage.Store
	bridge   *bridge.Bridge
	probes   *status.Probes
}

// openService opens the store. The caller calls run, or close.
func openService(ctx context.Context, s *settings, stderr io.Writer) (*service, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	logger, err := newLogger(stderr, s.logFormat, s.level)
	if err != nil {
		return nil, err
	}
	opts, err := s.bridgeOptions(logger)
	if err != nil {
		return nil, err
	}
	if opts.Keys, err = s.keyFiles.Keys(s.store); errors.Is(err, storage.ErrName) {
		return nil, usageError{err}
	} else if err != nil {
		return nil, usagef("%w (--cookie-keys, --mounted-cookie-keys)", err)
	}
	sessions, err := storage.Open(ctx, s.store, logger)
	if err != nil {
		return nil, err
	}
	b, err := bridge.New(sessions, &opts)
	if err != nil {
		return nil, errors.Join(usageError{err}, sessions.Close()) // an option is invalid
	}
	return &service{s, logger, sessions, b, status.NewProbes(b)}, nil
}

// newLogger returns a logger that writes to the standard error.
func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level: %q is not debug, info, warn or error", level)
	}
	opts.Level = least
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	}
	return nil, usagef("--log-format: %q is neither text nor json", format)
}

// api returns the handler of the API, the dashboard, the probes and the metrics for a listener. If
// no key is set and only this machine reaches the listener, made is a random key.
func (s *service) api(l net.Listener, forward admin.ForwardAuth) (h http.Handler, made string, err error) {
	addr := l.Addr().String()
	if l.Addr().Network() == "unix" { // each request is checked
		addr = admin.DefaultAddr
	}
	keys, err := s.settings.loadAPIKeys()
	if err != nil {
		return nil, "", usagef("keys of the API: %w", err)
	}
	if len(keys) == 0 {
		if err := admin.CheckKeyless(addr); err != nil {
			return nil, "", usagef("%w (--api-keys, or SESSIOND_KEY in the environment)", err)
		}
		made = rand.Text()
		keys = []admin.Key{{Name: "random", Secret: made, Scope: admin.ScopeWrite}}
	}
	api, err := admin.Handler(s.bridge, &admin.Options{
		App: s.settings.app, Keys: keys, Addr: addr, ForwardAuth: forward, Logger: s.logger,
	})
	if err != nil {
		return nil, "", usageError{err}
	}
	own := s.probes.Routes()
	own["/metrics"] = status.Metrics(api, s.settings.app)
	own["/"] = http.RedirectHandler("/dashboard/", http.StatusSeeOther)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := own[r.URL.Path]; h != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			h.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}), made, nil
}

// run serves until ctx ends, and closes everything.
func (s *service) run(ctx context.Context, all ...servers.Server) error {
	s.notify(daemon.SdNotifyReady)
	err := servers.Run(ctx, servers.Config{
		Grace: s.settings.grace, Logger: s.logger,
		Stop: func(ctx context.Context) error {
			s.probes.Stopping()
			s.notify(daemon.SdNotifyStopping)
			s.logger.Info("stopping")
			return s.bridge.Shutdown(ctx)
		},
	}, all...)
	return errors.Join(err, s.sessions.Close())
}

// openListeners returns a listener for each place.
func openListeners(ctx context.Context, places ...listen.Place) ([]net.Listener, error) {
	all, err := listen.Open(ctx, places...)
	if errors.As(err, new(*net.AddrError)) { // it isn't an address
		err = usageError{err}
	}
	return all, err
}

// close closes a service that doesn't run.
func (s *service) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(s.bridge.Shutdown(ctx), s.sessions.Close())
}

// notify tells systemd about the state of the program, if it is run by systemd.
func (s *service) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.logger.Warn("systemd can't be notified", slog.Any("error", err))
	}
}

// urlOf returns what to type into a browser.
func urlOf(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String() // a unix socket
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
