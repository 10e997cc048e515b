package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/listen"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/servers"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/sessionproxy"
)

// proxySettings are those of proxy.
type proxySettings struct {
	settings
	addr, backend, require string
	values                 []string
	trust                  bool
	maxMessage             int64
}

func proxyCommand() *cli.Command {
	s := &proxySettings{}
	flags := append(s.flags(),
		s.text("proxy-listen", "127.0.0.1:8080", "`address` of the proxy", &s.addr),
		s.text("backend", "", "`URL` of the backend, such as http://127.0.0.1:3000", &s.backend),
		s.text("require", "none", "what a request needs to pass: none, session or login", &s.require),
		s.list("pass-value", "`HEADER=KEY`: a header for the backend with the session's value of the key", &s.values),
		&cli.BoolFlag{
			Name: "trust-backend", Usage: "let the backend log users in and out with headers of its answers",
			Destination: &s.trust, Sources: s.from("trust-backend"),
		},
		&cli.Int64Flag{
			Name: "max-message", Usage: "largest message of a client on a WebSocket, in `bytes`",
			Value: sessionproxy.DefaultMaxMessage, Destination: &s.maxMessage, Sources: s.from("max-message"),
		},
	)
	return &cli.Command{
		Name:  "proxy",
		Usage: "give sessions to a backend that has none, and serve the REST API beside it",
		Flags: flags,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := arguments(cmd, 0, 0); err != nil {
				return err
			}
			return proxy(ctx, s, cmd.Root().Writer, cmd.Root().ErrWriter)
		},
	}
}

// options returns the options of the proxy.
func (s *proxySettings) options() (o sessionproxy.Options, err error) {
	if s.backend == "" {
		return o, usagef("--backend is missing: the URL of the backend")
	}
	if o.Backend, err = url.Parse(s.backend); err != nil {
		return o, usagef("--backend: it is not a URL")
	}
	if s.maxMessage < 1 {
		return o, usagef("--max-message: %d is not positive", s.maxMessage)
	}
	o.Headers.Values = make(map[string]string, len(s.values))
	for _, value := range s.values {
		header, key, ok := strings.Cut(value, "=")
		if !ok || key == "" {
			return o, usagef("--pass-value: %q is not HEADER=KEY", value)
		}
		o.Headers.Values[header] = key
	}
	o.Require, o.TrustBackend, o.MaxMessageBytes = sessionproxy.Requirement(s.require), s.trust, s.maxMessage
	return o, nil
}

func proxy(ctx context.Context, s *proxySettings, stdout, stderr io.Writer) error {
	opts, err := s.options()
	if err != nil {
		return err
	}
	svc, err := openService(ctx, &s.settings, stderr)
	if err != nil {
		return err
	}
	opts.Logger = svc.logger
	p, err := sessionproxy.New(svc.bridge, opts)
	if err != nil {
		return errors.Join(usageError{err}, svc.close(ctx))
	}
	defer p.Close()
	listeners, err := openListeners(ctx,
		listen.Place{Name: proxySocket, Addr: s.addr}, listen.Place{Name: apiSocket, Addr: s.apiAddr})
	if err != nil {
		return errors.Join(err, svc.close(ctx))
	}
	api, made, err := svc.api(listeners[1], admin.ForwardAuth{Values: opts.Headers.Values})
	if err != nil {
		return errors.Join(err, listeners[0].Close(), listeners[1].Close(), svc.close(ctx))
	}
	fmt.Fprintf(stdout, "proxy: %s\n", urlOf(listeners[0].Addr()))
	announce(stdout, urlOf(listeners[1].Addr()), made)
	return svc.run(ctx, servers.Server{Listener: listeners[0], Handler: p},
		servers.Server{Listener: listeners[1], Handler: api, ReadTimeout: bodyTimeout})
}
