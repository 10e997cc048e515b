// Example is a small complete application on sessionbridge: a counter and a login, over HTTP and
// WebSocket, on one session. Copy it to begin.
//
//	go run ./example
//
// It serves a page at http://127.0.0.1:3000. Open it in two tabs: each follows the other, also
// through a login, a logout, and a restart of this program. Sessions are kept in the file example.db,
// and the keys that sign the cookies in example.db.keys.
//
// main.go starts and stops the program, app.go has the application, and the folder site the page.
// Command demo (cmd/demo) shows more: Redis, devices, messages to a user, the admin API.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:3000", "the `address` to listen on")
	path := flags.String("db", "example.db", "the `file` with the sessions; the keys are in a file beside it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	keys, err := bridge.LoadOrCreateKeys(*path + ".keys")
	if err != nil {
		return err
	}
	sessions, err := filestore.Open(*path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sessions.Close()) }() // after the Bridge
	b, err := bridge.New(sessions, &bridge.Options{Keys: keys})
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           newApp(b),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // these two apply to requests, not to sockets
		WriteTimeout:      10 * time.Second,
	}
	listener, err := net.Listen("tcp", *addr)
	failed := make(chan error, 1)
	if err == nil {
		fmt.Fprintf(stdout, "Listening on http://%s (Ctrl+C stops it)\n", listener.Addr())
		go func() { failed <- server.Serve(listener) }()
		select {
		case err = <-failed:
		case <-ctx.Done():
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// First the requests, which need the Bridge; then the sockets, which the server doesn't track.
	return errors.Join(err, server.Shutdown(grace), b.Shutdown(grace))
}
