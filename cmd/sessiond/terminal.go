package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/apiclient"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/output"
)

// remote is what the commands that call the API have in common.
type remote struct {
	*apiclient.Client
	stdout, stderr io.Writer
	person         bool // who reads the output
}

// remoteCommand returns a command that calls the API.
func remoteCommand(cmd cli.Command, do func(ctx context.Context, r *remote, cmd *cli.Command) error) *cli.Command {
	var base, app, keyFile, format string
	env := func(name string) cli.ValueSourceChain { return cli.EnvVars(envName(name)) }
	cmd.Flags = append(cmd.Flags,
		&cli.StringFlag{
			Name: "url", Value: "http://127.0.0.1:7070", Usage: "`URL` of the API",
			Destination: &base, Sources: env("url"),
		},
		&cli.StringFlag{Name: "app", Value: "main", Usage: "`name` of the app", Destination: &app, Sources: env("app")},
		&cli.StringFlag{
			Name: "key-file", Usage: "`file` with the key (default: the key in " + keyVariable + ")", TakesFile: true,
			Destination: &keyFile, Sources: env("key-file"),
		},
		&cli.StringFlag{
			Name: "output", Aliases: []string{"o"}, Value: "auto", Destination: &format, Sources: env("output"),
			Usage: "table, json (a line for each result), or auto: a table on a terminal",
		},
	)
	cmd.Action = func(ctx context.Context, cmd *cli.Command) error {
		r := &remote{stdout: cmd.Root().Writer, stderr: cmd.Root().ErrWriter}
		switch format {
		case "auto":
			r.person = output.IsTerminal(r.stdout)
		case "table":
			r.person = true
		case "json":
		default:
			return usagef("--output: %q is not auto, table or json", format)
		}
		key := os.Getenv(keyVariable)
		if keyFile != "" {
			text, err := os.ReadFile(keyFile)
			if err != nil {
				return usageError{err}
			}
			key = strings.TrimSpace(string(text))
		}
		var err error
		if r.Client, err = apiclient.New(base, app, key); err != nil {
			return usageError{err}
		}
		defer r.Close()
		return do(ctx, r, cmd)
	}
	return &cmd
}

func terminalCommands() []*cli.Command {
	return []*cli.Command{
		remoteCommand(cli.Command{
			Name: "list", Usage: "list sessions, the last active first", Flags: []cli.Flag{
				&cli.StringFlag{Name: "user", Usage: "only those of a `user`"},
				&cli.StringFlag{Name: "client", Usage: "only those of a `client`"},
				&cli.DurationFlag{Name: "active-within", Usage: "only those that were active within the `time`"},
				limitFlag(),
			},
		}, listSessions),
		remoteCommand(cli.Command{Name: "show", Usage: "show sessions with their values", ArgsUsage: "ID..."}, show),
		remoteCommand(cli.Command{Name: "destroy", Usage: "end sessions", ArgsUsage: "ID..."}, destroy),
		remoteCommand(cli.Command{
			Name: "destroy-user", Usage: "end all sessions of a user", ArgsUsage: "USER", Flags: []cli.Flag{
				&cli.StringSliceFlag{Name: "except", Usage: "but this `session`"},
			},
		}, destroyUser),
		remoteCommand(cli.Command{
			Name: "activity", Usage: "count the users, sessions and connections that were active", Flags: []cli.Flag{
				&cli.DurationFlag{Name: "within", Value: 10 * time.Minute, Usage: "the `time` within which"},
			},
		}, activity),
		remoteCommand(cli.Command{
			Name: "conns", Usage: "list open connections", Flags: []cli.Flag{
				&cli.StringFlag{Name: "user", Usage: "only those of a `user`"},
				&cli.StringFlag{Name: "session", Usage: "only those of a `session`"},
				&cli.StringFlag{Name: "client", Usage: "only those of a `client`"},
				limitFlag(),
			},
		}, listConns),
		watchCommand(),
		remoteCommand(cli.Command{Name: "ping", Usage: "ask whether the store answers"}, ping),
	}
}

func limitFlag() cli.Flag {
	return &cli.IntFlag{Name: "limit", Usage: "at most this `number` (default: all)", HideDefault: true}
}

// filter returns the body of a search: the flags that are set.
func filter(cmd *cli.Command, names ...string) map[string]any {
	f := map[string]any{"limit": cmd.Int("limit")}
	for _, name := range names {
		if value := cmd.String(name); value != "" {
			f[name] = value
		}
	}
	return f
}

func listSessions(ctx context.Context, r *remote, cmd *cli.Command) error {
	if _, err := arguments(cmd, 0, 0); err != nil {
		return err
	}
	f := filter(cmd, "user", "client")
	if cmd.IsSet("active-within") {
		f["activeWithin"] = cmd.Duration("active-within").Seconds()
	}
	out := output.New(r.stdout, r.person, "ID", "USER", "ACTIVE", "EXPIRES", "CONNS", "ADDR")
	request := apiclient.Request{Method: http.MethodPost, Path: "/sessions/search", Body: f}
	err := r.List(ctx, request, "sessions", func(raw json.RawMessage) error {
		var s struct {
			ID, User, Addr string
			Seen, Expires  time.Time
			ConnsHere      int
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		return out.Row(raw, s.ID, orDash(s.User), ago(s.Seen), in(s.Expires), fmt.Sprint(s.ConnsHere), orDash(s.Addr))
	})
	return errors.Join(out.Flush(), err)
}

func listConns(ctx context.Context, r *remote, cmd *cli.Command) error {
	if _, err := arguments(cmd, 0, 0); err != nil {
		return err
	}
	out := output.New(r.stdout, r.person, "ID", "SESSION", "USER", "OPEN", "ACTIVE", "ADDR", "NODE")
	f := filter(cmd, "user", "session", "client")
	request := apiclient.Request{Method: http.MethodPost, Path: "/conns/search", Body: f}
	err := r.List(ctx, request, "conns", func(raw json.RawMessage) error {
		var c struct {
			ID, Session, User, Addr, Node string
			Connected, Active             time.Time
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return err
		}
		return out.Row(raw, c.ID, orDash(c.Session), orDash(c.User), since(c.Connected), ago(c.Active),
			orDash(c.Addr), orDash(c.Node))
	})
	if errors.Is(err, apiclient.ErrIncomplete) && cmd.Int("limit") > 0 {
		err = nil // because of the limit
	}
	return errors.Join(out.Flush(), err)
}

func show(ctx context.Context, r *remote, cmd *cli.Command) error {
	out := output.New(r.stdout, r.person)
	return r.eachID(cmd, func(id string) error {
		session, err := r.Call(ctx, apiclient.Request{
			Method: http.MethodGet, Path: "/sessions/" + url.PathEscape(id), Member: "id",
		})
		if err != nil {
			return err
		}
		return out.Row(session)
	})
}

func destroy(ctx context.Context, r *remote, cmd *cli.Command) error {
	out := output.New(r.stdout, r.person)
	defer func() { _ = out.Flush() }()
	return r.eachID(cmd, func(id string) error {
		_, err := r.Call(ctx, apiclient.Request{Method: http.MethodDelete, Path: "/sessions/" + url.PathEscape(id)})
		if err != nil {
			return err
		}
		return r.say(out, map[string]any{"ended": id}, "ended "+id)
	})
}

// eachID calls do with each argument. One that fails doesn't keep it from the others.
func (r *remote) eachID(cmd *cli.Command, do func(id string) error) error {
	ids, err := arguments(cmd, 1, -1)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := do(id); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", output.Printable(id), err))
		}
	}
	return errors.Join(errs...)
}

func destroyUser(ctx context.Context, r *remote, cmd *cli.Command) error {
	args, err := arguments(cmd, 1, 1)
	if err != nil {
		return err
	}
	body := map[string]any{"user": args[0]}
	if except := cmd.StringSlice("except"); len(except) > 0 {
		body["except"] = except
	}
	answer, err := r.Call(ctx, apiclient.Request{
		Method: http.MethodPost, Path: "/sessions/destroy-user", Body: body, Member: "ended",
	})
	if err != nil {
		return err
	}
	var n struct{ Ended int }
	if err := json.Unmarshal(answer, &n); err != nil {
		return err
	}
	return r.say(nil, answer, fmt.Sprintf("%d sessions ended", n.Ended))
}

func activity(ctx context.Context, r *remote, cmd *cli.Command) error {
	if _, err := arguments(cmd, 0, 0); err != nil {
		return err
	}
	query := url.Values{"within": {fmt.Sprint(cmd.Duration("within").Seconds())}}
	answer, err := r.Call(ctx, apiclient.Request{
		Method: http.MethodGet, Path: "/activity", Query: query, Member: "sessions",
	})
	if err != nil {
		return err
	}
	var n struct {
		Users, Sessions, Conns int
		Complete               bool
	}
	if err := json.Unmarshal(answer, &n); err != nil {
		return err
	}
	err = r.say(nil, answer, fmt.Sprintf("%d users, %d sessions, %d connections", n.Users, n.Sessions, n.Conns))
	if err == nil && !n.Complete {
		err = apiclient.ErrIncomplete
	}
	return err
}

func ping(ctx context.Context, r *remote, cmd *cli.Command) error {
	if _, err := arguments(cmd, 0, 0); err != nil {
		return err
	}
	began := time.Now()
	answer, err := r.Call(ctx, apiclient.Request{Method: http.MethodGet, Path: "/ping", Member: "ok"})
	if err != nil {
		return err
	}
	return r.say(nil, answer, fmt.Sprintf("the store answers (%v)", time.Since(began).Round(100*time.Microsecond)))
}

// say writes one result: a sentence for a person. A nil Printer is one for this result only.
func (r *remote) say(out *output.Printer, result any, sentence string) error {
	raw, err := json.Marshal(result)
	if err != nil {
		return err
	}
	if out == nil {
		out = output.New(r.stdout, r.person)
	}
	return errors.Join(out.Row(raw, sentence), out.Flush())
}
