// Package listen opens listeners: at addresses, or those that systemd has opened already, so that a
// restart refuses no connection.
package listen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/coreos/go-systemd/v22/activation"
)

// Place is where to listen.
type Place struct {
	Name string // of the socket of systemd: FileDescriptorName=
	Addr string // host and port, if systemd has passed no such socket
}

// Open returns a listener for each place. If there is one place and one socket of systemd, their
// names don't matter. A socket that is for no place is an error, because nothing would answer
// there.
func Open(ctx context.Context, places ...Place) (all []net.Listener, err error) {
	inherited, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("use the sockets of systemd: %w", err)
	}
	defer func() {
		if err != nil {
			closeAll(all, inherited)
		}
	}()
	if only := slices.Collect(maps.Keys(inherited)); len(places) == 1 && len(only) == 1 {
		places[0].Name = only[0]
	}
	for _, p := range places {
		passed := inherited[p.Name]
		switch len(passed) {
		case 0:
			var lc net.ListenConfig
			l, err := lc.Listen(ctx, "tcp", p.Addr)
			if err != nil {
				return all, err
			}
			all = append(all, l)
		case 1:
			all = append(all, passed[0])
			delete(inherited, p.Name)
		default:
			return all, fmt.Errorf("systemd has passed %d sockets named %s; one is expected", len(passed), p.Name)
		}
	}
	for name := range inherited {
		return all, fmt.Errorf("systemd has passed a socket named %q; FileDescriptorName= must be one of %s",
			name, names(places))
	}
	return all, nil
}

func names(places []Place) (all []string) {
	for _, p := range places {
		all = append(all, p.Name)
	}
	return all
}

func closeAll(opened []net.Listener, inherited map[string][]net.Listener) {
	var errs []error
	for _, l := range opened {
		errs = append(errs, l.Close())
	}
	for _, ls := range inherited {
		for _, l := range ls {
			errs = append(errs, l.Close())
		}
	}
	_ = errors.Join(errs...) // the caller has an error already
}
