package bridge

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/pageorigin"
	"github.com/sessionbridge/sessionbridge/store"
)

// withDefaults returns o with its defaults, for a Bridge over st. An error names the field.
func (o *Options) withDefaults(st store.Store) (*settings, error) {
	s := &settings{Options: *o}
	if s.Logger == nil {
		s.Logger = slog.New(defaultLog{})
	}
	steps := []func() error{s.setKeys, s.setCookies, s.setPreset, s.setTimes, s.setLimits, s.checkPolicies, s.setNetwork}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, o.checkLimits(st)
}

func (s *settings) setKeys() error {
	if s.Keys == nil {
		s.Keys = [][]byte{credentials.NewKey()}
		s.Logger.Warn("no Options.Keys: a random key signs the cookies, and no cookie survives a restart " +
			"(LoadOrCreateKeys keeps keys in a file)")
		return nil
	}
	if len(s.Keys) == 0 {
		return bad("Keys", "an empty list; nil means a random key")
	}
	s.Keys = slices.Clone(s.Keys)
	for i, key := range s.Keys {
		if len(key) < credentials.MinKeyBytes {
			return bad(fmt.Sprintf("Keys[%d]", i), "%d bytes, at least %d are needed", len(key), credentials.MinKeyBytes)
		}
		s.Keys[i] = slices.Clone(key)
	}
	return nil
}

func (s *settings) setCookies() error {
	s.Name = cmp.Or(s.Name, "sid")
	s.GorillaName = cmp.Or(s.GorillaName, s.Name)
	s.ClientName = cmp.Or(s.ClientName, s.Name+".cid")
	s.Path = cmp.Or(s.Path, "/")
	s.SameSite = cmp.Or(s.SameSite, http.SameSiteLaxMode)
	for _, f := range []struct{ field, name string }{{"Name", s.Name}, {"ClientName", s.ClientName}} {
		if c := (http.Cookie{Name: f.name, Value: "x"}); c.Valid() != nil || len(f.name) > 64 {
			return bad(f.field, "%q is no cookie name of at most 64 bytes", f.name)
		}
		if strings.HasPrefix(f.name, "__") && (s.Secure != SecureAlways ||
			strings.HasPrefix(f.name, credentials.HostPrefix) && !credentials.HostPrefixAllowed(s.Path, s.Domain)) {
			return bad(f.field, "%q has a prefix that is not always allowed; __Host- is added where it is", f.name)
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
	if s.Secure == SecureNever && (s.SameSite == http.SameSiteNoneMode || s.Partitioned) {
		return bad("Secure", "SameSite=None and Partitioned need Secure cookies, this is SecureNever")
	}
	if s.EagerClient && s.StrictBinding {
		s.Logger.Warn("EagerClient with StrictBinding: a first page that is answered late replaces the client cookie " +
			"of a session that has begun meanwhile, and the session is refused")
	}
	if s.Secure == SecureAuto && (s.SameSite == http.SameSiteNoneMode || s.Partitioned) {
		s.Logger.Warn("SameSite=None and Partitioned cookies need Secure: browsers drop those of requests without TLS " +
			"(Options.Secure is SecureAuto)")
	}
	return nil
}

// presets are the times of each TimeoutPreset. OWASP gives ranges: idle is the longest time of 2 to
// 5 and of 15 to 30 minutes, lifetime the shortest of 4 to 8 hours for a high risk and the longest
// for a low one. No standard gives a time for renewal.
var presets = [...]struct{ idle, lifetime, renew time.Duration }{
	TimeoutsOWASPHighRisk: {5 * time.Minute, 4 * time.Hour, 15 * time.Minute},
	TimeoutsOWASPLowRisk:  {30 * time.Minute, 8 * time.Hour, time.Hour},
	TimeoutsNISTAAL1:      {Off, 30 * day, day},
	TimeoutsNISTAAL2:      {time.Hour, 24 * time.Hour, time.Hour},
	TimeoutsNISTAAL3:      {15 * time.Minute, 12 * time.Hour, 15 * time.Minute},
}

// setPreset fills in the times of the preset that the options leave out.
func (s *settings) setPreset() error {
	if err := checkEnum("Timeouts", s.Timeouts, TimeoutsNISTAAL3); err != nil {
		return err
	}
	t := presets[s.Timeouts]
	if t.idle > 0 { // a session may end late by a touch interval: both together are at most the standard's time
		t.idle -= min(cmp.Or(s.TouchInterval, time.Minute), t.idle/11)
	}
	s.IdleTimeout = cmp.Or(s.IdleTimeout, t.idle)
	s.Lifetime = cmp.Or(s.Lifetime, t.lifetime)
	s.RenewEvery = cmp.Or(s.RenewEvery, t.renew)
	if s.RenewEvery > 0 && s.RotateGrace == Off {
		return bad("RotateGrace", "Off with RenewEvery (or a preset that has it): "+
			"of the requests that a page makes at once all but one would lose the session at a renewal")
	}
	return nil
}

func (s *settings) setTimes() error {
	for _, f := range []struct {
		name        string
		value       *time.Duration
		zero, least time.Duration
		off         bool
	}{
		{"IdleTimeout", &s.IdleTimeout, day, time.Millisecond, true},
		{"Lifetime", &s.Lifetime, 30 * day, time.Millisecond, true},
		{"ClientMaxAge", &s.ClientMaxAge, 365 * day, time.Second, false},
		{"ClientRollEvery", &s.ClientRollEvery, day, 1, true},
		{"TouchInterval", &s.TouchInterval, time.Minute, 1, false},
		{"AutoCleanup", &s.AutoCleanup, 0, time.Millisecond, true},
		{"RotateGrace", &s.RotateGrace, 10 * time.Second, 1, true},
		{"StoreTimeout", &s.StoreTimeout, 5 * time.Second, time.Millisecond, false},
		{"RenewEvery", &s.RenewEvery, Off, time.Second, true},
		{"RevalidateEvery", &s.RevalidateEvery, 5 * time.Minute, time.Second, true},
		{"TicketLifetime", &s.TicketLifetime, 30 * time.Second, time.Second, false},
		{"DrainOver", &s.DrainOver, Off, time.Millisecond, true},
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
		return bad("ClientRollEvery",
			"Off with StrictBinding: sessions would be refused once the client cookie has expired (ClientMaxAge)")
	}
	s.ClientRollEvery = min(s.ClientRollEvery, s.ClientMaxAge/2) // Off stays
	s.AutoCleanup = cmp.Or(s.AutoCleanup, s.pruneEvery())
	return nil
}

// pruneEvery is how often the Bridge checks sessions that have not been used.
func (s *settings) pruneEvery() time.Duration {
	return min(max(zeroIfOff(s.IdleTimeout)/4, time.Minute), day)
}

// defaultHandshakes take about 25 MB: the buffers and the stack of one in net/http are 24 KiB. With
// a store that answers in 5 ms they allow 200,000 handshakes a second, far more than two cores can
// do; while a store hangs for StoreTimeout, no more than these wait.
const defaultHandshakes = 1024

func (s *settings) setLimits() error {
	for _, f := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"MaxSessionsPerUser", &s.MaxSessionsPerUser, 0},
		{"MaxSessionsPerClient", &s.MaxSessionsPerClient, 16}, // a browser needs one, a script may create many
		{"MaxKnownSessions", &s.MaxKnownSessions, 100_000},    // about 25 MB in the map of clients
		{"MaxConnsPerSession", &s.MaxConnsPerSession, 0},
		{"MaxConnsPerAddr", &s.MaxConnsPerAddr, 0},
		{"MaxHandshakes", &s.MaxHandshakes, defaultHandshakes},
		{"HandshakeBurst", &s.HandshakeBurst, 0},
		{"MaxValueBytes", &s.MaxValueBytes, 64 << 10},
	} {
		if *f.value < Off {
			return bad(f.name, "%d is negative; Off (%d) means no limit", *f.value, Off)
		}
		*f.value = cmp.Or(*f.value, f.zero)
	}
	if r := s.HandshakesPerSecond; r != Off && !(r >= 0 && r <= 1e9) {
		return bad("HandshakesPerSecond", "%v is out of range: 0 to 1e9; 0 or Off (%d) means no limit", r, Off)
	}
	return nil
}

func (s *settings) checkPolicies() error {
	return errors.Join(
		checkEnum("Secure", s.Secure, SecureNever),
		checkEnum("OnTooManySessions", s.OnTooManySessions, RefuseLogin),
		checkEnum("OnTooManyConns", s.OnTooManyConns, EvictOldestConn),
		checkEnum("OnSessionEnd", s.OnSessionEnd, KeepConns),
		checkEnum("Rebind", s.Rebind, Follow),
		checkEnum("ProxyHeaders", s.ProxyHeaders, OnlyForwarded),
	)
}

// checkEnum returns an error for a value that isn't from 0 to last.
func checkEnum[E ~int](field string, value, last E) error {
	if value < 0 || value > last {
		return bad(field, "%d is not a %s", value, strings.TrimPrefix(fmt.Sprintf("%T", value), "bridge."))
	}
	return nil
}

func (s *settings) setNetwork() error {
	var err error
	var i int
	if s.origins, i, err = pageorigin.Compile(s.OriginPatterns); err != nil {
		return bad(fmt.Sprintf("OriginPatterns[%d]", i), "%w", err)
	}
	if s.proxies, i, err = forwarded.New(s.TrustedProxies, forwarded.Headers(s.ProxyHeaders)); err != nil {
		return bad(fmt.Sprintf("TrustedProxies[%d]", i), "%w", err)
	}
	s.ClearSiteData = slices.Clone(s.ClearSiteData)
	for i, what := range s.ClearSiteData {
		if !slices.Contains([]string{"cache", "cookies", "storage", "executionContexts", "*"}, what) {
			return bad(fmt.Sprintf("ClearSiteData[%d]", i),
				`%q is none of "cache", "cookies", "storage", "executionContexts" and "*"`, what)
		}
	}
	return nil
}

// checkLimits returns an error if o sets a limit that the store can't enforce. A default has no
// effect with such a store.
func (o *Options) checkLimits(st store.Store) error {
	_, ofUser := st.(store.UserIndex)
	_, ofClient := st.(store.ClientIndex)
	_, ordered := st.(store.ClientOrder)
	switch {
	case o.MaxSessionsPerUser > 0 && !ofUser:
		return bad("MaxSessionsPerUser",
			"the store can't find a user's sessions: it is no store.UserIndex: %w", ErrUnsupported)
	case o.MaxSessionsPerClient > 0 && !ofClient && !ordered:
		return bad("MaxSessionsPerClient", "the store can't find a client's sessions: "+
			"it is neither a store.ClientOrder nor a store.ClientIndex: %w", ErrUnsupported)
	}
	return nil
}

// credentials returns the part of the settings that cookies and tokens depend on.
func (s *settings) credentials() credentials.Config {
	c := credentials.Config{
		Keys:            s.Keys,
		Name:            s.Name,
		ClientName:      s.ClientName,
		Path:            s.Path,
		Domain:          s.Domain,
		SameSite:        s.SameSite,
		Partitioned:     s.Partitioned,
		ClientMaxAge:    s.ClientMaxAge,
		ClientRollEvery: zeroIfOff(s.ClientRollEvery),
		EagerClient:     s.EagerClient,
		ClearSiteData:   s.ClearSiteData,
		TokenFrom:       s.TokenFrom,
	}
	if len(s.OriginPatterns) > 0 {
		c.OriginAllowed = s.originAllowed
	}
	return c
}

// grace returns how long previous tokens are accepted.
func (s *settings) grace() credentials.Grace {
	return credentials.Grace{Rotate: zeroIfOff(s.RotateGrace), Renew: zeroIfOff(s.RenewEvery)}
}
