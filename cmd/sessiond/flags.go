package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/apikeys"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/config"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/storage"
)

// settings are those that serve and proxy have in common.
type settings struct {
	file config.File

	store            string
	keyFiles         storage.KeyFiles
	app              string
	apiAddr          string
	apiKeys          string
	cookieName       string
	cookieDomain     string
	secure           string
	idle, lifetime   time.Duration
	maxSessions      int64
	proxies, origins []string
	logFormat, level string
	audit            bool
	grace            time.Duration
	names            []string // of the flags
}

// flags returns the flags. Each can be set in the environment and in the configuration file, too.
func (s *settings) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "config", Usage: "`file` with settings: YAML, with the names of flags", TakesFile: true,
			Destination: &s.file.Path, Sources: cli.EnvVars(envName("config")),
		}, // first: the others read it
		s.text("store", storage.Live, "the `store`: live (in memory), file:PATH, redis://HOST:6379, or "+
			"postgres://HOST/DATABASE", &s.store),
		s.text("cookie-keys", "", "`file` with the keys that sign cookies, created if it doesn't exist "+
			"(default: PATH.keys; random in memory)", &s.keyFiles.Own),
		s.text("mounted-cookie-keys", "", "likewise, but a mounted secret: never created", &s.keyFiles.Mounted),
		s.text("api-listen", admin.DefaultAddr, "`address` of the REST API and the dashboard", &s.apiAddr),
		s.text("api-keys", "", "`file` with the keys of the API: a line NAME SCOPE SECRET for each", &s.apiKeys),
		s.text("app", "main", "`name` of the app in the API", &s.app),
		s.text("cookie-name", "sid", "`name` of the session cookie", &s.cookieName),
		s.text("cookie-domain", "", "`domain` of the cookies (default: the host only)", &s.cookieDomain),
		s.text("secure", "auto", "Secure attribute of the cookies: auto, or always", &s.secure),
		s.duration("idle-timeout", 24*time.Hour, "longest `time` that a session may go unused", &s.idle),
		s.duration("lifetime", 30*24*time.Hour, "longest `age` of a session", &s.lifetime),
		&cli.Int64Flag{
			Name: "max-sessions-per-user", Usage: "largest `number` of sessions of a user (default: no limit)",
			HideDefault: true, Destination: &s.maxSessions, Sources: s.from("max-sessions-per-user"),
		},
		s.list("trusted-proxy", "`address` or network of a proxy whose X-Forwarded headers are believed", &s.proxies),
		s.list("origin", "`host` whose pages may open WebSockets besides the server's own", &s.origins),
		s.text("log-format", "text", "text or json", &s.logFormat),
		s.text("log-level", "info", "debug, info, warn or error", &s.level),
		&cli.BoolFlag{
			Name: "audit", Usage: "log each event in the life of a session",
			Destination: &s.audit, Sources: s.from("audit"),
		},
		s.duration("grace", 10*time.Second, "longest `time` for requests to end when the program stops", &s.grace),
	}
}

func (s *settings) text(name, value, usage string, to *string) cli.Flag {
	return &cli.StringFlag{Name: name, Value: value, Usage: usage, Destination: to, Sources: s.from(name)}
}

func (s *settings) duration(name string, value time.Duration, usage string, to *time.Duration) cli.Flag {
	return &cli.DurationFlag{Name: name, Value: value, Usage: usage, Destination: to, Sources: s.from(name)}
}

func (s *settings) list(name, usage string, to *[]string) cli.Flag {
	return &cli.StringSliceFlag{Name: name, Usage: usage, Destination: to, Sources: s.from(name)}
}

// from returns the sources of a flag's value besides the command line.
func (s *settings) from(name string) cli.ValueSourceChain {
	s.names = append(s.names, name)
	return cli.NewValueSourceChain(cli.EnvVar(envName(name)), s.file.Value(name))
}

// envName returns SESSIOND_LOG_LEVEL for log-level.
func envName(name string) string {
	return "SESSIOND_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// bridgeOptions returns the options of the Bridge, without its keys.
func (s *settings) bridgeOptions(logger *slog.Logger) (o bridge.Options, err error) {
	o = bridge.Options{
		Name: s.cookieName, Domain: s.cookieDomain, IdleTimeout: s.idle, Lifetime: s.lifetime,
		MaxSessionsPerUser: int(s.maxSessions), TrustedProxies: s.proxies, OriginPatterns: s.origins, Logger: logger,
	}
	switch s.secure {
	case "auto":
	case "always":
		o.Secure = bridge.SecureAlways
	default:
		return o, usagef("--secure: %q is neither auto nor always", s.secure)
	}
	if s.audit {
		o.Audit = logger
	}
	return o, nil
}

// keyVariable is the environment variable with a key of the API, for the server and for the
// commands that call it. There is no flag: other users of a machine see the arguments of a program.
const keyVariable = "SESSIOND_KEY"

// loadAPIKeys returns the keys of the API, without any if none is set.
func (s *settings) loadAPIKeys() ([]admin.Key, error) {
	return apikeys.Load(s.apiKeys, os.Getenv(keyVariable))
}

// check returns an error unless the configuration file can be read, has valid names, and --grace is
// valid.
func (s *settings) check() error {
	if err := s.file.Check(s.names); err != nil {
		return usageError{fmt.Errorf("configuration: %w", err)}
	}
	if s.grace < 0 {
		return usagef("--grace: %v is negative", s.grace)
	}
	return nil
}
