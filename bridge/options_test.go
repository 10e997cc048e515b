package bridge_test

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

const century = 100 * 365 * 24 * time.Hour

// optionCases are, for each field of Options, values that it takes and values that it doesn't.
var optionCases = map[string]struct{ good, bad []bridge.Options }{
	"Keys": {
		good: []bridge.Options{{Keys: nil}, {Keys: [][]byte{testkit.Key()}}, {Keys: [][]byte{testkit.Key(), bytes.Repeat([]byte("o"), 500)}}},
		bad: []bridge.Options{
			{Keys: [][]byte{}}, {Keys: [][]byte{nil}}, {Keys: [][]byte{make([]byte, 31)}}, {Keys: [][]byte{testkit.Key(), make([]byte, 31)}},
		},
	},
	"Name": {
		good: []bridge.Options{{Name: "a"}, {Name: "my_session-1"}, {Name: "__Host-sid", Secure: bridge.SecureAlways}},
		bad: []bridge.Options{
			{Name: "a b"},
			{Name: "a=b"},
			{Name: "a;b"},
			{Name: "ä"},
			{Name: strings.Repeat("n", 65)},
			{Name: "__Host-sid"},
			{Name: "__Secure-sid"},
			{Name: "__Host-sid", Secure: bridge.SecureAlways, Domain: "example.com"},
		},
	},
	"GorillaName": {good: []bridge.Options{{GorillaName: "session-name"}, {Name: "a", GorillaName: "a"}}},
	"ClientName": {
		good: []bridge.Options{{ClientName: "browser"}, {Name: strings.Repeat("n", 60)}},
		bad:  []bridge.Options{{ClientName: "a b"}, {ClientName: "sid"}, {Name: "x", ClientName: "x"}, {ClientName: strings.Repeat("n", 65)}},
	},
	"FormerNames": {
		good: []bridge.Options{
			{FormerNames: []bridge.CookieNames{{Name: "old"}, {Name: "older", ClientName: "browser"}}},
			{FormerNames: []bridge.CookieNames{{ClientName: "browser"}}},
		},
		bad: []bridge.Options{
			{FormerNames: make([]bridge.CookieNames, 8)},
			{FormerNames: []bridge.CookieNames{{}}},
			{FormerNames: []bridge.CookieNames{{Name: "sid"}}},
			{FormerNames: []bridge.CookieNames{{Name: "a b"}}},
			{FormerNames: []bridge.CookieNames{{Name: "old", ClientName: "a b"}}},
			{FormerNames: []bridge.CookieNames{{Name: "old", ClientName: "old"}}},
			{FormerNames: []bridge.CookieNames{{Name: "sid.cid", ClientName: "browser"}}},
			{FormerNames: []bridge.CookieNames{{Name: strings.Repeat("n", 61)}}},
		},
	},
	"FormerScopes": {
		good: []bridge.Options{
			{FormerScopes: []bridge.CookieScope{{Domain: "example.com"}, {Path: "/app"}}},
			{Path: "/app", FormerScopes: []bridge.CookieScope{{}}},
		},
		bad: []bridge.Options{
			{FormerScopes: make([]bridge.CookieScope, 8)},
			{FormerScopes: []bridge.CookieScope{{}}},
			{FormerScopes: []bridge.CookieScope{{Path: "app"}}},
			{FormerScopes: []bridge.CookieScope{{Domain: "a b"}}},
			{FormerScopes: []bridge.CookieScope{{Domain: "example.com", Path: "/;"}}},
		},
	},
	"IdleTimeout":     durations(func(o *bridge.Options, d time.Duration) { o.IdleTimeout = d }, time.Millisecond, true),
	"Lifetime":        durations(func(o *bridge.Options, d time.Duration) { o.Lifetime = d }, time.Millisecond, true),
	"ClientMaxAge":    durations(func(o *bridge.Options, d time.Duration) { o.ClientMaxAge = d }, time.Second, false),
	"ClientRollEvery": durations(func(o *bridge.Options, d time.Duration) { o.ClientRollEvery = d }, 1, true),
	"TouchInterval":   durations(func(o *bridge.Options, d time.Duration) { o.TouchInterval = d }, 1, false),
	"AutoCleanup":     durations(func(o *bridge.Options, d time.Duration) { o.AutoCleanup = d }, time.Millisecond, true),
	"RotateGrace":     durations(func(o *bridge.Options, d time.Duration) { o.RotateGrace = d }, 1, true),
	"StoreTimeout":    durations(func(o *bridge.Options, d time.Duration) { o.StoreTimeout = d }, time.Millisecond, false),
	"EagerClient":     {good: []bridge.Options{{EagerClient: true}}},
	"BeforeCommit":    {good: []bridge.Options{{BeforeCommit: stamp}}},
	"CachedReads":     {good: []bridge.Options{{CachedReads: true}}},
	"StrictBinding":   {good: []bridge.Options{{StrictBinding: true}}},
	"Audit":           {good: []bridge.Options{{Audit: slog.New(slog.DiscardHandler)}}},
	"Logger":          {good: []bridge.Options{{Logger: slog.New(slog.DiscardHandler)}}},
	"ErrorHandler":    {good: []bridge.Options{{ErrorHandler: bridge.WriteError}}},
	"Path": {
		good: []bridge.Options{{Path: "/"}, {Path: "/a/b"}},
		bad:  []bridge.Options{{Path: "a"}, {Path: "/a;b"}, {Path: "/\n"}},
	},
	"Domain": {
		good: []bridge.Options{{Domain: "example.com"}, {Domain: ".example.com"}, {Domain: "localhost"}},
		bad:  []bridge.Options{{Domain: "exa mple.com"}, {Domain: "example.com;"}, {Domain: "https://example.com"}},
	},
	"SameSite": {
		good: []bridge.Options{{SameSite: http.SameSiteStrictMode}, {SameSite: http.SameSiteNoneMode}},
		bad:  []bridge.Options{{SameSite: -1}, {SameSite: http.SameSiteNoneMode + 1}},
	},
	"Secure": {
		good: []bridge.Options{{Secure: bridge.SecureAlways}, {Secure: bridge.SecureNever, DangerouslyInsecure: true}},
		bad: []bridge.Options{
			{Secure: -1},
			{Secure: bridge.SecureNever},
			{Secure: bridge.SecureNever + 1},
			{Secure: bridge.SecureNever, SameSite: http.SameSiteNoneMode},
			{Secure: bridge.SecureNever, Partitioned: true},
		},
	},
	"DangerouslyInsecure": {good: []bridge.Options{
		{DangerouslyInsecure: true},
		{DangerouslyInsecure: true, OriginPatterns: []string{"*"}},
	}},
	"Partitioned": {good: []bridge.Options{{Partitioned: true}}},
	"OnSessionEnd": {
		good: []bridge.Options{{OnSessionEnd: bridge.KeepConns}},
		bad:  []bridge.Options{{OnSessionEnd: -1}, {OnSessionEnd: bridge.KeepConns + 1}},
	},
	"Rebind": {
		good: []bridge.Options{{Rebind: bridge.Follow}},
		bad:  []bridge.Options{{Rebind: -1}, {Rebind: bridge.Follow + 1}},
	},
	"MaxValueBytes": {
		good: []bridge.Options{{MaxValueBytes: 1}, {MaxValueBytes: bridge.Off}, {MaxValueBytes: math.MaxInt}},
		bad:  []bridge.Options{{MaxValueBytes: -2}, {MaxValueBytes: math.MinInt}},
	},
	"RenewEvery":      durations(func(o *bridge.Options, d time.Duration) { o.RenewEvery = d }, time.Second, true),
	"RememberEnds":    durations(func(o *bridge.Options, d time.Duration) { o.RememberEnds = d }, time.Second, true),
	"RevalidateEvery": durations(func(o *bridge.Options, d time.Duration) { o.RevalidateEvery = d }, time.Second, true),
	"TicketLifetime":  durations(func(o *bridge.Options, d time.Duration) { o.TicketLifetime = d }, time.Second, false),
	"PresenceGrace":   durations(func(o *bridge.Options, d time.Duration) { o.PresenceGrace = d }, time.Millisecond, true),
	"DrainOver":       durations(func(o *bridge.Options, d time.Duration) { o.DrainOver = d }, time.Millisecond, true),
	"Timeouts": {
		good: []bridge.Options{{Timeouts: bridge.TimeoutsOWASPHighRisk}, {Timeouts: bridge.TimeoutsNISTAAL3}},
		bad:  []bridge.Options{{Timeouts: -1}, {Timeouts: bridge.TimeoutsNISTAAL3 + 1}},
	},
	"ClearSiteData": {
		good: []bridge.Options{{ClearSiteData: []string{"cache", "cookies", "storage", "executionContexts", "*"}}},
		bad:  []bridge.Options{{ClearSiteData: []string{""}}, {ClearSiteData: []string{"cache", `x"`}}},
	},
	"Import": {good: []bridge.Options{{Import: func(*http.Request) *bridge.Import { return nil }}}},
	"DeviceBound": {
		good: []bridge.Options{
			{DeviceBound: &bridge.DeviceBound{}},
			{DeviceBound: &bridge.DeviceBound{Path: "/a/b", Life: 3 * time.Minute, RS256: true}},
			{DeviceBound: &bridge.DeviceBound{Life: 24 * time.Hour}, Secure: bridge.SecureAlways, Path: "/app"},
		},
		bad: []bridge.Options{
			{DeviceBound: &bridge.DeviceBound{Life: 3*time.Minute - 1}},
			{DeviceBound: &bridge.DeviceBound{Life: 24*time.Hour + 1}},
			{DeviceBound: &bridge.DeviceBound{Life: bridge.Off}},
			{DeviceBound: &bridge.DeviceBound{Path: "a"}},
			{DeviceBound: &bridge.DeviceBound{}, Domain: "example.com"},
			{DeviceBound: &bridge.DeviceBound{}, ClientName: "sid.device"},
		},
	},
	"LastMessage":        {good: []bridge.Options{{LastMessage: func(bridge.SessionDestroy) []byte { return nil }}}},
	"TokenFrom":          {good: []bridge.Options{{TokenFrom: func(*http.Request) (string, bool) { return "", false }}}},
	"MaxSessionsPerUser": limits(func(o *bridge.Options, n int) { o.MaxSessionsPerUser = n }),
	"MaxConnsPerSession": limits(func(o *bridge.Options, n int) { o.MaxConnsPerSession = n }),
	"MaxConnsPerAddr":    limits(func(o *bridge.Options, n int) { o.MaxConnsPerAddr = n }),
	"MaxHandshakes":      limits(func(o *bridge.Options, n int) { o.MaxHandshakes = n }),
	"HandshakeBurst":     limits(func(o *bridge.Options, n int) { o.HandshakeBurst = n }),
	"HandshakesPerSecond": {
		good: []bridge.Options{{HandshakesPerSecond: 0.1}, {HandshakesPerSecond: bridge.Off}, {HandshakesPerSecond: 1e9}},
		bad:  []bridge.Options{{HandshakesPerSecond: -2}, {HandshakesPerSecond: math.NaN()}, {HandshakesPerSecond: math.Inf(1)}},
	},
	"HandshakesPerAddr":    rates(func(o *bridge.Options, r bridge.Rate) { o.HandshakesPerAddr = r }),
	"HandshakesPerSession": rates(func(o *bridge.Options, r bridge.Rate) { o.HandshakesPerSession = r }),
	"MessagesPerAddr":      rates(func(o *bridge.Options, r bridge.Rate) { o.MessagesPerAddr = r }),
	"MessagesPerSession":   rates(func(o *bridge.Options, r bridge.Rate) { o.MessagesPerSession = r }),
	"NewSessionsPerAddr":   rates(func(o *bridge.Options, r bridge.Rate) { o.NewSessionsPerAddr = r }),
	"OnTooManySessions": {
		good: []bridge.Options{{OnTooManySessions: bridge.RefuseLogin}},
		bad:  []bridge.Options{{OnTooManySessions: -1}, {OnTooManySessions: bridge.RefuseLogin + 1}},
	},
	"MaxKeptMessages":      amounts(func(o *bridge.Options, n int) { o.MaxKeptMessages = n }),
	"MaxKeptBytes":         amounts(func(o *bridge.Options, n int) { o.MaxKeptBytes = n }),
	"MaxKeptMemory":        amounts(func(o *bridge.Options, n int) { o.MaxKeptMemory = n }),
	"MaxKnownSessions":     limits(func(o *bridge.Options, n int) { o.MaxKnownSessions = n }),
	"MaxSessionsPerClient": limits(func(o *bridge.Options, n int) { o.MaxSessionsPerClient = n }),
	"OnTooManyConns": {
		good: []bridge.Options{{OnTooManyConns: bridge.EvictOldestConn}},
		bad:  []bridge.Options{{OnTooManyConns: -1}, {OnTooManyConns: bridge.EvictOldestConn + 1}},
	},
	"OriginPatterns": {
		good: []bridge.Options{{OriginPatterns: []string{"*.example.com", "https://a", "[::1]:8080", "https://a/", "null", "file://"}}},
		bad:  []bridge.Options{{OriginPatterns: []string{""}}, {OriginPatterns: []string{"*"}}, {OriginPatterns: []string{"a", "https://*"}}, {OriginPatterns: []string{"ok", "[a"}}, {OriginPatterns: []string{"https://a/b"}}},
	},
	"CheckOrigin": {good: []bridge.Options{{CheckOrigin: func(*http.Request) bool { return false }}}},
	"TrustedProxies": {
		good: []bridge.Options{{TrustedProxies: []string{"10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32", "unix"}}},
		bad:  []bridge.Options{{TrustedProxies: []string{""}}, {TrustedProxies: []string{"10.0.0.1", "proxy.local"}}, {TrustedProxies: []string{"10.0.0.0/33"}}},
	},
	"Cookie": {
		good: []bridge.Options{{Cookie: bridge.CookieBrowserSession}},
		bad:  []bridge.Options{{Cookie: -1}, {Cookie: bridge.CookieBrowserSession + 1}},
	},
	"KeepLifetimeAtLogin": {good: []bridge.Options{{KeepLifetimeAtLogin: true}}},
	"KeepValuesAtLogin": {
		good: []bridge.Options{{KeepValuesAtLogin: true}},
	},
	"OptimizeAfter": {
		good: []bridge.Options{{OptimizeAfter: 1e-9}, {OptimizeAfter: 1}},
		bad:  []bridge.Options{{OptimizeAfter: -1}, {OptimizeAfter: 1.01}, {OptimizeAfter: math.NaN()}, {OptimizeAfter: math.Inf(1)}},
	},
	"RecordAddr": {
		good: []bridge.Options{{RecordAddr: bridge.RecordNetwork}, {RecordAddr: bridge.RecordOff}},
		bad:  []bridge.Options{{RecordAddr: -1}, {RecordAddr: bridge.RecordNetwork + 1}},
	},
	"RecordUserAgent": {
		good: []bridge.Options{{RecordUserAgent: bridge.RecordOff}},
		bad:  []bridge.Options{{RecordUserAgent: -1}, {RecordUserAgent: bridge.RecordNetwork}, {RecordUserAgent: bridge.RecordNetwork + 1}},
	},
	"ProxyHeaders": {
		good: []bridge.Options{{ProxyHeaders: bridge.OnlyXForwarded}, {ProxyHeaders: bridge.OnlyForwarded}},
		bad:  []bridge.Options{{ProxyHeaders: -1}, {ProxyHeaders: bridge.OnlyForwarded + 1}},
	},
}

func limits(set func(*bridge.Options, int)) (c struct{ good, bad []bridge.Options }) {
	with := func(n int) (o bridge.Options) { set(&o, n); return o }
	c.good = []bridge.Options{with(0), with(1), with(math.MaxInt32), with(bridge.Off)}
	c.bad = []bridge.Options{with(-2), with(math.MinInt)}
	return c
}

func amounts(set func(*bridge.Options, int)) (c struct{ good, bad []bridge.Options }) {
	c = limits(set)
	c.good, c.bad = c.good[:len(c.good)-1], append(c.bad, c.good[len(c.good)-1])
	return c
}

func durations(set func(*bridge.Options, time.Duration), least time.Duration, off bool) (c struct{ good, bad []bridge.Options }) {
	with := func(d time.Duration) (o bridge.Options) { set(&o, d); return o }
	c.good = []bridge.Options{with(0), with(least), with(century)}
	c.bad = []bridge.Options{with(math.MinInt64), with(-2), with(century + 1), with(math.MaxInt64)}
	if least > 1 {
		c.bad = append(c.bad, with(least-1))
	}
	if off {
		c.good = append(c.good, with(bridge.Off))
	} else {
		c.bad = append(c.bad, with(-1))
	}
	return c
}

// rates returns the cases of a Rate.
func rates(set func(o *bridge.Options, r bridge.Rate)) (c struct{ good, bad []bridge.Options }) {
	with := func(perSecond float64, burst int) (o bridge.Options) {
		set(&o, bridge.Rate{PerSecond: perSecond, Burst: burst})
		return o
	}
	c.good = []bridge.Options{with(0.1, 0), with(1e9, 5), with(bridge.Off, 0), with(1, bridge.Off), with(0, 7)}
	c.bad = []bridge.Options{with(-2, 0), with(math.NaN(), 0), with(math.Inf(1), 0), with(2e9, 0), with(1, -2)}
	return c
}

func TestNewChecksEveryOption(t *testing.T) {
	fields := reflect.TypeFor[bridge.Options]()
	for i := range fields.NumField() {
		field := fields.Field(i).Name
		t.Run(field, func(t *testing.T) {
			cases, ok := optionCases[field]
			require.True(t, ok, "every field has its cases")
			for _, o := range cases.good {
				b, err := bridge.New(livestore.New(), &o)
				require.NoError(t, err, "%+v", o)
				require.NoError(t, b.Shutdown(t.Context()))
			}
			for _, o := range cases.bad {
				_, err := bridge.New(livestore.New(), &o)
				require.ErrorContains(t, err, "Options."+field, "%+v", o)
			}
		})
	}
}

func TestNewNeedsAStore(t *testing.T) {
	_, err := bridge.New(nil, nil)
	require.ErrorContains(t, err, "store")
}

func TestNewCopiesItsOptions(t *testing.T) {
	o := &bridge.Options{Keys: [][]byte{testkit.Key()}}
	a := testkit.NewApp(t, livestore.New(), o)
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	o.Name, o.IdleTimeout = "other", time.Millisecond
	clear(o.Keys[0])
	o.Keys[0] = nil
	require.Equal(t, "2", visitor.Get(t, h, "/inc").Body.String())
}

func TestRandomKeyIsWarnedOf(t *testing.T) {
	var log bytes.Buffer
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, b.Ping(t.Context()))
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "Keys")
}

func TestConnOptionsOutOfRangeFailEveryHandshake(t *testing.T) {
	for field, bad := range map[string][]bridge.ConnOptions{
		"OnMissing":           {{OnMissing: -1}, {OnMissing: bridge.RefuseMissing + 1}},
		"OnUnavailable":       {{OnUnavailable: -1}, {OnUnavailable: bridge.CloseUnavailable + 1}},
		"MaxMessageBytes":     {{MaxMessageBytes: -2}, {MaxMessageBytes: math.MinInt64}},
		"WriteTimeout":        {{WriteTimeout: -2}, {WriteTimeout: math.MinInt64}},
		"MessagesPerSecond":   {{MessagesPerSecond: -2}, {MessagesPerSecond: math.NaN()}},
		"MessageBurst":        {{MessageBurst: -2}},
		"Heartbeat":           {{Heartbeat: -2}, {Heartbeat: time.Millisecond}, {Heartbeat: math.MaxInt64}},
		"IdleTimeout":         {{IdleTimeout: -2}, {IdleTimeout: 1}},
		"FirstMessageTimeout": {{FirstMessageTimeout: -2}, {FirstMessageTimeout: 1}},
		"MaxAge":              {{MaxAge: -2}, {MaxAge: 1}},
		"SaveEvery":           {{SaveEvery: -2}, {SaveEvery: 1}},
		"NotifyQueue":         {{NotifyQueue: -1}},
		"OnNotifyFull":        {{OnNotifyFull: -1}, {OnNotifyFull: bridge.DropNewest + 1}},
		"Compression":         {{Compression: -1}, {Compression: 100}},
		"Subprotocols":        {{Subprotocols: []string{""}}, {Subprotocols: []string{"a b"}}, {Subprotocols: []string{"a,b"}}},
	} {
		for _, o := range bad {
			var log bytes.Buffer
			b := testkit.NewBridge(t, livestore.New(), &bridge.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			h := b.WebSocket(func(context.Context, *bridge.Conn) error { return nil }, &o)
			_, res, err := webclient.NewBrowser(t, webclient.Serve(t, h)).TryDial("/", nil)
			require.Error(t, err, field)
			require.Equal(t, http.StatusInternalServerError, res.StatusCode, field)
			require.Contains(t, log.String(), "ConnOptions."+field)
		}
	}
}
