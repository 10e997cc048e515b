package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/listen"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/servers"
)

// apiSocket and proxySocket are the names of the sockets of systemd.
const (
	apiSocket   = "api"
	proxySocket = "proxy"
)

// bodyTimeout is how long a request of the API may take to arrive.
const bodyTimeout = time.Minute

func serveCommand() *cli.Command {
	s := &settings{}
	return &cli.Command{
		Name:  "serve",
		Usage: "serve the REST API and the dashboard",
		Flags: s.flags(),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := arguments(cmd, 0, 0); err != nil {
				return err
			}
			return serve(ctx, s, cmd.Root().Writer, cmd.Root().ErrWriter)
		},
	}
}

func serve(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	svc, err := openService(ctx, s, stderr)
	if err != nil {
		return err
	}
	listeners, err := openListeners(ctx, listen.Place{Name: apiSocket, Addr: s.apiAddr})
	if err != nil {
		return errors.Join(err, svc.close(ctx))
	}
	api, made, err := svc.api(listeners[0], admin.ForwardAuth{})
	if err != nil {
		return errors.Join(err, listeners[0].Close(), svc.close(ctx))
	}
	announce(stdout, urlOf(listeners[0].Addr()), made)
	return svc.run(ctx, servers.Server{Listener: listeners[0], Handler: api, ReadTimeout: bodyTimeout})
}

// announce tells the person who has started the program where the dashboard is, and the key that
// was made for it.
func announce(stdout io.Writer, url, made string) {
	fmt.Fprintf(stdout, "dashboard: %s/dashboard/\n", url)
	if made != "" {
		fmt.Fprintf(stdout, "key: %s (random, for this run; set SESSIOND_KEY or --api-keys to choose one)\n", made)
	}
}
