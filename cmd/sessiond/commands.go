package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

func newRoot(stdout, stderr io.Writer) *cli.Command {
	root := &cli.Command{
		Name:  "sessiond",
		Usage: "sessions for application servers in any language",
		Description: "Without a command it serves. Settings of serve and proxy come from flags, from environment\n" +
			"variables, and from a configuration file, in this order.",
		Version:               version(),
		EnableShellCompletion: true,
		Suggest:               true,
		Writer:                stdout,
		ErrWriter:             stderr,
		ExitErrHandler:        func(context.Context, *cli.Command, error) {}, // run prints errors
		Action: func(_ context.Context, cmd *cli.Command) error {
			return usagef("there is no command %q", cmd.Args().First())
		},
		Commands: append([]*cli.Command{serveCommand(), proxyCommand(), copyCommand()}, terminalCommands()...),
	}
	for _, cmd := range root.Commands {
		cmd.OnUsageError = func(_ context.Context, _ *cli.Command, err error, _ bool) error { return usageError{err} }
		if action := cmd.Action; action != nil {
			cmd.Action = func(ctx context.Context, cmd *cli.Command) error {
				if err := action(ctx, cmd); err != nil {
					return failure{err}
				}
				return nil
			}
		}
	}
	return root
}

// version returns the version of the program as it was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return fmt.Sprintf("%s (%.12s)", info.Main.Version, setting.Value)
		}
	}
	return info.Main.Version
}

// arguments returns the arguments of a command, which must be from least to most; no most if it is
// negative.
func arguments(cmd *cli.Command, least, most int) ([]string, error) {
	args := cmd.Args().Slice()
	switch {
	case len(args) < least:
		return nil, usagef("%s needs: %s", cmd.Name, cmd.ArgsUsage)
	case most >= 0 && len(args) > most:
		return nil, usagef("unexpected argument %q", args[most])
	}
	return args, nil
}
