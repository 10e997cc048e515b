// Example is the smallest complete application on sessionbridge: one session, seen live from HTTP and from WebSocket.
//
//	go run ./example
//
// main.go starts and stops it, server.go says what is served, api.go answers HTTP and socket.go WebSocket. Both change the session
// through the functions in session.go. feed.go tells a session's sockets what happens to it; page.html is the browser's side.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// shutdownGrace is how long requests and sockets that are open may take to end.
const shutdownGrace = 10 * time.Second

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:3000", "the `address` to listen on")
	storeName := flags.String("store", "live", "where sessions are kept: live (in memory)")
	keyFile := flags.String("keys", "", "the `file` of the keys that sign the cookies, made if it isn't there (default: a random key)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; there are only flags, -help lists them", flags.Arg(0))
	}

	sessions, err := openStore(*storeName)
	if err != nil {
		return err
	}
	defer sessions.Close()
	keys, err := openKeys(*keyFile, stdout)
	if err != nil {
		return err
	}
	app, err := newApp(sessions, &bridge.Options{
		Keys:   keys,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return errors.Join(fmt.Errorf("can't listen on %s, choose another address with -addr: %w", *addr, err), app.shutdown(ctx))
	}
	server := &http.Server{
		Handler:           app.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // these two don't apply to sockets
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ends with Shutdown
	fmt.Fprintf(stdout, "Listening on %s (Ctrl+C stops it)\n", urlOf(listener.Addr()))

	select {
	case err = <-failed:
	case <-ctx.Done():
		fmt.Fprintln(stdout, "Shutting down.")
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	// First the requests, as the Bridge serves them on; then the sockets, which the server knows nothing of.
	return errors.Join(err, server.Shutdown(grace), app.shutdown(grace))
}

// sessionStore is a store that somebody has to close.
type sessionStore interface {
	store.Store
	io.Closer
}

func openStore(name string) (sessionStore, error) {
	switch name {
	case "live":
		return livestore.New(), nil
	}
	return nil, fmt.Errorf("-store %q: there is only \"live\", which keeps sessions in memory", name)
}

// openKeys returns the keys that sign the cookies.
func openKeys(file string, stdout io.Writer) ([][]byte, error) {
	if file != "" {
		return bridge.LoadOrCreateKeys(file)
	}
	fmt.Fprintln(stdout, "The cookies are signed with a random key: browsers are strangers again after a restart. -keys FILE keeps the key.")
	key := make([]byte, 64)
	_, _ = rand.Read(key) // never fails
	return [][]byte{key}, nil
}

// urlOf returns what to type into a browser.
func urlOf(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
