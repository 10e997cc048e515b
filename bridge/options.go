package bridge

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"
)

// Off switches a limit off, where a zero field means its default.
const Off = -1

// Options is how a Bridge behaves. A zero field means its default; Off switches a limit off. New copies it.
type Options struct {
	// Keys sign the cookies: the first signs, all verify, each has at least 32 bytes. To replace a key put the new one first
	// and keep the old one for as long as its cookies are to be valid. Default: a random key and a logged warning, as every session is
	// then lost at a restart. LoadOrCreateKeys keeps keys in a file.
	Keys [][]byte

	// Name is the name of the session cookie, ClientName that of the client cookie. Where they may have it (Secure, Path /, no
	// Domain) both go with the prefix __Host- (RFC 6265bis §4.1.3.2). Defaults: sid, and Name + ".cid".
	Name, ClientName string

	// IdleTimeout is the longest silence of a session, Lifetime its longest age, whatever the activity. The
	// server enforces both at the moment of use. Defaults: 24 h and 30 days. Session.SetIdleTimeout and SetLifetime change them for one session.
	IdleTimeout, Lifetime time.Duration

	// ClientMaxAge is how long the client cookie lasts, ClientRollEvery after how long it is sent again. Defaults: 365 days (browsers
	// allow 400) and 24 h, at most half of ClientMaxAge; 1 ns sends it with every response, which makes all of them uncacheable.
	ClientMaxAge, ClientRollEvery time.Duration
	// LazyClient issues the client cookie only together with a session or at a handshake, not on the first plain request.
	LazyClient bool

	Path        string        // of the cookies; default /
	Domain      string        // of the cookies; default none: this host only
	SameSite    http.SameSite // default Lax
	Secure      SecureMode    // default SecureAuto
	Partitioned bool          // cookies of an embedded page (CHIPS); needs Secure

	// TouchInterval is for how long a session's activity may go unrecorded: one store write per session and interval. It is never more than a tenth of
	// the idle timeout, and no session expires early because of it. Default: 1 min.
	TouchInterval time.Duration
	// AutoCleanup is how often expired sessions are removed. Default: IdleTimeout/4, between 1 min and 1 day. Off: never.
	AutoCleanup time.Duration
	// RotateGrace is how long after Session.Rotate the previous token still works, at most: until the new one is first presented. Default: 10 s. Off: not
	// at all.
	RotateGrace time.Duration
	// StrictBinding refuses a session that comes with another client's cookie, or none. By default that is reported, and the client cookie
	// is set to the session's client.
	StrictBinding bool

	// OnSessionEnd says what becomes of a session's connections. Default: CloseConns.
	OnSessionEnd SessionEndPolicy
	// Rebind says what becomes of a client's older connections at a login, or when it gets a new session. Default: Reconnect.
	Rebind RebindPolicy

	// MaxValueBytes limits the encoded values of one session. Default: 64 KiB.
	MaxValueBytes int
	// StoreTimeout limits each call to the store. Default: 5 s.
	StoreTimeout time.Duration

	// OriginPatterns are hosts (or scheme://host) whose pages may open connections, besides the server's own host, as for path.Match: "*.example.com".
	// Default: none.
	OriginPatterns []string
	// TrustedProxies are the addresses or networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed. Default: none.
	TrustedProxies []string

	// Logger gets the life of sessions, under a keyed hash of their IDs; never a token, a cookie or a value. Default: nothing is logged.
	Logger *slog.Logger
}

// SecureMode says when cookies carry the Secure attribute.
type SecureMode int

// The modes of Options.Secure.
const (
	SecureAuto   SecureMode = iota // when the request came over TLS, or a trusted proxy says so
	SecureAlways                   // always: TLS ends in front of this process
	SecureNever                    // never: for development
)

// SessionEndPolicy says what becomes of the connections of a session that ends.
type SessionEndPolicy int

// The policies of Options.OnSessionEnd.
const (
	CloseConns SessionEndPolicy = iota // they are closed, with a code that says why
	KeepConns                          // they stay, without a session: onMissing applies
)

// RebindPolicy says what becomes of a client's older connections at a login, or when it gets a new session.
type RebindPolicy int

// The policies of Options.Rebind.
const (
	// Reconnect cuts them off from the session at once and closes them with CodeReconnect when the response has gone, 5 s later at most, to come back with the new
	// cookies.
	Reconnect RebindPolicy = iota
	// Follow keeps them and lets them work on whatever session the client has: the client cookie alone then opens a session, for a
	// year, to whoever has a copy of it. For trusted networks.
	Follow
)

const day = 24 * time.Hour

// settings are Options with every default filled in.
type settings struct {
	Options
	proxies []netip.Prefix
}

// settle returns o with its defaults. An error names the field.
func (o *Options) settle() (*settings, error) {
	s := &settings{}
	if o != nil {
		s.Options = *o
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	steps := []func() error{s.settleKeys, s.settleCookies, s.settleTimes, s.settleLimits, s.settleNetwork}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// bad says which field is out of range, and what would do.
func bad(field, format string, args ...any) error {
	return fmt.Errorf("bridge: Options.%s: %s", field, fmt.Sprintf(format, args...))
}

const minKeyBytes = 32

func (s *settings) settleKeys() error {
	if s.Keys == nil {
		key := make([]byte, 2*minKeyBytes)
		_, _ = rand.Read(key)
		s.Keys = [][]byte{key}
		s.Logger.Warn("no Options.Keys: a random key signs the cookies, and no cookie survives a restart (LoadOrCreateKeys keeps keys in a file)")
		return nil
	}
	if len(s.Keys) == 0 {
		return bad("Keys", "an empty list; nil means a random key")
	}
	s.Keys = slices.Clone(s.Keys)
	for i, key := range s.Keys {
		if len(key) < minKeyBytes {
			return bad(fmt.Sprintf("Keys[%d]", i), "%d bytes, at least %d are needed", len(key), minKeyBytes)
		}
		s.Keys[i] = slices.Clone(key)
	}
	return nil
}

func (s *settings) settleCookies() error {
	s.Name = cmp.Or(s.Name, "sid")
	s.ClientName = cmp.Or(s.ClientName, s.Name+".cid")
	s.Path = cmp.Or(s.Path, "/")
	s.SameSite = cmp.Or(s.SameSite, http.SameSiteLaxMode)
	for _, f := range []struct{ field, name string }{{"Name", s.Name}, {"ClientName", s.ClientName}} {
		c := http.Cookie{Name: f.name, Value: "x"}
		if err := c.Valid(); err != nil || len(f.name) > 64 {
			return bad(f.field, "%q is no cookie name of at most 64 bytes", f.name)
		}
	}
	if s.Name == s.ClientName {
		return bad("ClientName", "the same as Name, %q", s.Name)
	}
	if c := (http.Cookie{Name: "x", Path: s.Path}); c.Valid() != nil || s.Path[0] != '/' {
		return bad("Path", "%q is no cookie path (it starts with /)", s.Path)
	}
	if c := (http.Cookie{Name: "x", Domain: s.Domain}); s.Domain != "" && c.Valid() != nil {
		return bad("Domain", "%q is no cookie domain", s.Domain)
	}
	if s.SameSite < http.SameSiteDefaultMode || s.SameSite > http.SameSiteNoneMode {
		return bad("SameSite", "%d is not one of http.SameSite's", s.SameSite)
	}
	if s.Secure < SecureAuto || s.Secure > SecureNever {
		return bad("Secure", "%d is not a SecureMode", s.Secure)
	}
	if s.Secure == SecureNever && (s.SameSite == http.SameSiteNoneMode || s.Partitioned) {
		return bad("Secure", "SameSite=None and Partitioned need Secure cookies, this is SecureNever")
	}
	if s.Secure == SecureAuto && (s.SameSite == http.SameSiteNoneMode || s.Partitioned) {
		s.Logger.Warn("SameSite=None and Partitioned cookies need Secure: browsers drop those of requests without TLS (Options.Secure is SecureAuto)")
	}
	for _, name := range []string{s.Name, s.ClientName} {
		if strings.HasPrefix(name, "__") && (s.Secure != SecureAlways || strings.HasPrefix(name, hostPrefix) && !s.mayHaveHostPrefix()) {
			return bad("Name", "%q has a prefix that these cookies may not always have; it is added where it may be had", name)
		}
	}
	return nil
}

func (s *settings) mayHaveHostPrefix() bool { return s.Path == "/" && s.Domain == "" }

const maxTimeout = 100 * 365 * day // further away, sums of times overflow

func (s *settings) settleTimes() error {
	for _, f := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
		least time.Duration
		off   bool
	}{
		{"IdleTimeout", &s.IdleTimeout, day, time.Millisecond, true},
		{"Lifetime", &s.Lifetime, 30 * day, time.Millisecond, true},
		{"ClientMaxAge", &s.ClientMaxAge, 365 * day, time.Second, false},
		{"ClientRollEvery", &s.ClientRollEvery, day, 1, true},
		{"TouchInterval", &s.TouchInterval, time.Minute, 1, false},
		{"AutoCleanup", &s.AutoCleanup, 0, time.Millisecond, true},
		{"RotateGrace", &s.RotateGrace, 10 * time.Second, 1, true},
		{"StoreTimeout", &s.StoreTimeout, 5 * time.Second, time.Millisecond, false},
	} {
		switch v := *f.value; {
		case v == 0:
			*f.value = f.zero
		case v == Off && f.off:
		case v < f.least || v > maxTimeout:
			off := ""
			if f.off {
				off = ", or Off"
			}
			return bad(f.name, "%v is out of range: %v to %v%s", v, f.least, maxTimeout, off)
		}
	}
	if s.ClientRollEvery == Off && s.StrictBinding {
		return bad("ClientRollEvery", "Off with StrictBinding: sessions would be refused once the client cookie has expired (ClientMaxAge)")
	}
	if s.ClientRollEvery != Off {
		s.ClientRollEvery = min(s.ClientRollEvery, s.ClientMaxAge/2)
	}
	if s.AutoCleanup == 0 {
		s.AutoCleanup = s.pruneEvery()
	}
	return nil
}

// pruneEvery is how often the Bridge looks after sessions that nobody uses.
func (s *settings) pruneEvery() time.Duration {
	return min(max(limit(s.IdleTimeout)/4, time.Minute), day)
}

func (s *settings) settleLimits() error {
	switch {
	case s.MaxValueBytes == 0:
		s.MaxValueBytes = 64 << 10
	case s.MaxValueBytes == Off:
		s.MaxValueBytes = 0
	case s.MaxValueBytes < 0:
		return bad("MaxValueBytes", "%d is negative; Off (%d) means no limit", s.MaxValueBytes, Off)
	}
	if s.OnSessionEnd < CloseConns || s.OnSessionEnd > KeepConns {
		return bad("OnSessionEnd", "%d is not a SessionEndPolicy", s.OnSessionEnd)
	}
	if s.Rebind < Reconnect || s.Rebind > Follow {
		return bad("Rebind", "%d is not a RebindPolicy", s.Rebind)
	}
	return nil
}

func (s *settings) settleNetwork() error {
	s.OriginPatterns = slices.Clone(s.OriginPatterns)
	for i, pattern := range s.OriginPatterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return bad(fmt.Sprintf("OriginPatterns[%d]", i), "%q is no pattern", pattern)
		}
	}
	for i, text := range s.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return bad(fmt.Sprintf("TrustedProxies[%d]", i), "%q is neither an address nor a network", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		s.proxies = append(s.proxies, prefix)
	}
	return nil
}

// limit turns an option's Off into the records' 0.
func limit(d time.Duration) time.Duration {
	if d == Off {
		return 0
	}
	return d
}
