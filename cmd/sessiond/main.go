// Sessiond is sessionbridge as a program: for application servers that are not Go, and for
// operators.
//
//	go run ./cmd/sessiond                           # the REST API and the dashboard
//	sessiond proxy --backend http://127.0.0.1:3000  # sessions for a backend that has none
//	sessiond list                                   # sessions, from a terminal
//
// docs/sessiond.md describes it. main.go decides which command runs and how the program exits;
// commands.go has the commands. flags.go has the settings of serve and proxy, daemon.go runs both,
// serve.go and proxy.go what is their own. terminal.go and watch.go have the commands that call the
// API of another sessiond, cells.go how their tables show values; copy.go copies stores.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/apiclient"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/output"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitError        = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitUnauthorized = 4
	exitUnavailable  = 5
)

// run runs the program until ctx ends, and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	err := root.Run(ctx, append([]string{"sessiond"}, withCommand(args)...))
	if err == nil {
		return 0
	}
	code := exitCode(err)
	fmt.Fprintln(stderr, "sessiond:", output.Printable(err.Error()))
	if code == exitUsage {
		fmt.Fprintln(stderr, `"sessiond help" lists the commands, "sessiond COMMAND --help" the flags of one.`)
	}
	return code
}

// ofRoot are the flags that aren't those of serve.
var ofRoot = []string{"-h", "--help", "-v", "--version"}

// withCommand returns the arguments with the command serve if they have none.
func withCommand(args []string) []string {
	if n := len(args); n > 0 && args[n-1] == "--generate-shell-completion" {
		return args
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !slices.Contains(ofRoot, args[0]) {
		return append([]string{"serve"}, args...)
	}
	return args
}

// failure is an error of a command that runs; others are about how it was called.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usageError is an error about how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	if errors.As(err, new(usageError)) || !errors.As(err, new(failure)) {
		return exitUsage
	}
	if answer := (*apiclient.Error)(nil); errors.As(err, &answer) {
		switch answer.Status {
		case 400:
			return exitUsage
		case 401, 403:
			return exitUnauthorized
		case 404:
			return exitNotFound
		case 429, 502, 503, 504:
			return exitUnavailable
		}
		return exitError
	}
	if errors.Is(err, apiclient.ErrUnavailable) || errors.Is(err, apiclient.ErrIncomplete) {
		return exitUnavailable
	}
	return exitError
}
