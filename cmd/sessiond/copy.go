package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/output"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/storage"
	"github.com/sessionbridge/sessionbridge/store"
)

func copyCommand() *cli.Command {
	return &cli.Command{
		Name:      "copy",
		Usage:     "copy the sessions of one store to another",
		ArgsUsage: "FROM TO",
		Description: "FROM and TO are stores: file:PATH, redis://HOST:6379 or postgres://HOST/DATABASE. " +
			"A file can't be in use by another process.\n" +
			"With a Redis or a PostgreSQL the source may be in use: copy, let the application use TO, and copy again " +
			"with --switched.",
		Flags: []cli.Flag{
			&cli.TimestampFlag{
				Name: "switched", Usage: "`time` at which the application began to use TO",
				Config: cli.TimestampConfig{Layouts: []string{time.RFC3339}},
			},
			&cli.BoolFlag{Name: "mirror", Usage: "also remove the sessions that FROM no longer has"},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := arguments(cmd, 2, 2)
			if err != nil {
				return err
			}
			opts := store.CopyOptions{Mirror: cmd.Bool("mirror"), Switched: cmd.Timestamp("switched")}
			return copyStores(ctx, args[0], args[1], opts, cmd.Root().Writer, cmd.Root().ErrWriter)
		},
	}
}

func copyStores(ctx context.Context, from, to string, opts store.CopyOptions, stdout, stderr io.Writer) (err error) {
	if from == storage.Live || to == storage.Live || from == to {
		return usagef("copy: FROM and TO must be two stores that outlive a process")
	}
	var open [2]storage.Store
	for i, name := range []string{from, to} {
		if i == 0 { // a store that was created would be empty, and --mirror would empty the other one
			if err = storage.Exists(name); err != nil {
				return usagef("copy: FROM: %w", err)
			}
		}
		if open[i], err = storage.Open(ctx, name, slog.New(slog.DiscardHandler)); err != nil {
			if errors.Is(err, storage.ErrName) {
				err = usageError{err}
			}
			return err
		}
		defer func() { err = errors.Join(err, open[i].Close()) }()
	}
	source, ok := store.As[store.Lister](open[0])
	if !ok {
		return errors.New("copy: FROM can't list its sessions")
	}
	person := output.IsTerminal(stderr)
	opts.Progress = func(done int) {
		if person {
			fmt.Fprintf(stderr, "\r%d read", done)
		}
	}
	n, err := store.Copy(ctx, source, open[1], opts)
	if person {
		fmt.Fprintln(stderr)
	}
	if err != nil {
		return err
	}
	result, _ := json.Marshal(map[string]int{"changed": n})
	return output.New(stdout, output.IsTerminal(stdout)).Row(result, fmt.Sprintf("%d sessions changed in the target", n))
}
