// Demo shows what sessionbridge does, live in a page: one session over HTTP and
// WebSocket.
//
//	go run ./cmd/demo
//
// It serves a page for browsers, and JSON for programs:
//
//	curl -b jar -c jar http://127.0.0.1:3000/api/session
//	curl -b jar -c jar http://127.0.0.1:3000/api/increment -d '{"by":1}'
//	curl -b jar -c jar http://127.0.0.1:3000/api/login -d '{"user":"ada"}'
//	curl -b jar -c jar http://127.0.0.1:3000/api/logout -X POST
//
// and over a WebSocket at /ws, with the same cookies: {"do":"get"}, {"do":"increment","by":1},
// {"do":"set","key":"k","value":1} and {"do":"logout"}. Each is answered with a message that has an
// "ok"; messages with an "event" report other changes.
//
// A logged-in user has devices, one for each session: GET /api/devices lists them, POST
// /api/signout {"device":ID}, /api/signout/others and /api/signout/everywhere end them, POST
// /api/close {"socket":ID} closes a socket, and POST /api/notify {"text":"hello"} sends a message
// to all of them.
//
// Sessions are kept in the file demo.db, and the keys that sign the cookies in demo.db.keys:
// both survive a restart and a kill -9. With -store live nothing is kept.
//
// Several processes with one Redis, or one PostgreSQL (-store postgres://HOST/DATABASE), are one
// application for their users:
//
//	go run ./cmd/demo -store redis://127.0.0.1:6379 -addr 127.0.0.1:3000
//	go run ./cmd/demo -store redis://127.0.0.1:6379 -addr 127.0.0.1:3001
//
// With -admin 127.0.0.1:7070 the admin API is served there, and its dashboard at /dashboard/: who is
// logged in, which sockets are open, what happens, and ways to sign out (docs/admin.md).
//
// With -audit the audit log is written to the standard error (docs/security.md). Behind a proxy, use
// -proxy. GET /healthz reports whether the process can serve (docs/deploy.md).
//
// main.go starts and stops the program, storage.go opens the store, server.go has the routes,
// api.go answers HTTP requests and socket.go WebSocket messages. Both change the session with the
// functions in session.go. devices.go lists a user's devices and signout.go ends them. feed.go
// reports changes to the sockets. admin.go serves the admin API. page.html is the client in the
// browser.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:3000", "the `address` to listen on")
	storeName := flags.String("store", "file:demo.db", "the `store`: file:PATH, live (in memory), "+
		"redis://HOST:6379 or postgres://HOST/DATABASE (shared by several processes)")
	keyFile := flags.String("keys", "", "the `file` with the keys that sign the cookies, created if it doesn't exist "+
		"(default: PATH.keys; in memory a random key; with a database demo.keys)")
	proxy := flags.String("proxy", "", "the `address` or network of a trusted proxy, whose "+
		"X-Forwarded-For and X-Forwarded-Proto are used (default: none)")
	adminAddr := flags.String("admin", "", "the `address` of the admin API and its dashboard, such as 127.0.0.1:7070; "+
		"it must be one of this machine, because no key is needed (default: none)")
	audit := flags.Bool("audit", false, "write the audit log to the standard error, a line of JSON for each event")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; there are only flags, -help lists them", flags.Arg(0))
	}

	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	kept, err := openStorage(ctx, *storeName, *keyFile, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.sessions.Close()) }() // after the Bridge, which serve shuts down
	fmt.Fprintln(stdout, kept.where)
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("can't listen on %s, choose another address with -addr: %w", *addr, err)
	}
	defer listener.Close() //nolint:errcheck // the server has closed it, if it came to that
	opts := bridge.Options{Keys: kept.keys, Logger: logger}
	if *audit {
		opts.Audit = slog.New(slog.NewJSONHandler(stderr, nil))
	}
	if *proxy != "" {
		opts.TrustedProxies = []string{*proxy}
	}
	app, err := newApp(kept.sessions, opts)
	if err != nil {
		return err
	}
	if *adminAddr != "" {
		at, err := app.startAdmin(*adminAddr, logger)
		if err != nil {
			return errors.Join(err, app.shutdown(ctx))
		}
		fmt.Fprintf(stdout, "Dashboard at %s/dashboard/\n", at)
	}
	fmt.Fprintf(stdout, "Listening on %s (Ctrl+C stops it)\n", urlOf(listener.Addr()))
	return app.serve(ctx, listener)
}

// urlOf returns what to type into a browser.
func urlOf(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
