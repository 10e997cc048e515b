package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/output"
)

func watchCommand() *cli.Command {
	return remoteCommand(cli.Command{
		Name: "watch", Usage: "show events as they happen, until interrupted",
		Description: "If the connection breaks it connects again, and goes on where it was.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "type", Usage: "only events of the `type`, such as session.destroy"},
			&cli.StringFlag{Name: "session", Usage: "only those of a `session`"},
			&cli.StringFlag{Name: "client", Usage: "only those of a `client`"},
		},
	}, watch)
}

func watch(ctx context.Context, r *remote, cmd *cli.Command) error {
	if _, err := arguments(cmd, 0, 0); err != nil {
		return err
	}
	query := url.Values{}
	for _, name := range []string{"session", "client"} {
		if value := cmd.String(name); value != "" {
			query.Set(name, value)
		}
	}
	if types := cmd.StringSlice("type"); len(types) > 0 {
		query.Set("type", strings.Join(types, ","))
	}
	out := output.New(r.stdout, r.person)
	err := r.Events(ctx, query, func(event json.RawMessage) error {
		line, err := summary(event)
		if err != nil {
			return err
		}
		return r.say(out, event, line)
	})
	if ctx.Err() != nil { // interrupted
		return nil
	}
	return err
}

// summary returns an event as a line for a person.
func summary(event json.RawMessage) (string, error) {
	var e struct {
		Type      string
		Timestamp time.Time
		Data      map[string]json.RawMessage
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return "", err
	}
	words := []string{e.Timestamp.Local().Format(time.TimeOnly), e.Type}
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		words = append(words, fmt.Sprintf("%s=%s", name, e.Data[name]))
	}
	return strings.Join(words, " "), nil
}
