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
)

// withDefaults returns o with its defaults. An error names the field.
func (o *Options) withDefaults() (*settings, error) {
	s := &settings{}
	if o != nil {
		s.Options = *o
	}
	if s.Logger == nil {
		s.Logger = slog.New(defaultLog{})
	}
	steps := []func() error{s.setKeys, s.setCookies, s.setPreset, s.setTimes, s.setLimits, s.checkPolicies, s.setNetwork}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, nil
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
	for _, name := range []string{s.Name, s.ClientName} {
		if strings.HasPrefix(name, "__") && (s.Secure != SecureAlways ||
			strings.HasPrefix(name, credentials.HostPrefix) && !credentials.HostPrefixAllowed(s.Path, s.Domain)) {
			return bad("Name", "%q has a prefix that these cookies may not always have; it is added where it may be had", name)
		}
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

// presets are the times of each TimeoutPreset. Where a standard gives a range, it is the lenient
// end of the idle timeout's (2 to 5 and 15 to 30 minutes), and the strict and the lenient end of
// the lifetime's (4 to 8 hours) for a high and a low risk. No standard gives a figure for renewal.
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
	if t.idle > 0 { // a session may end a touch interval late, never early: together at most the standard's time
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
	return min(max(zeroIfOff(s.IdleTimeout)/4, time.Minute), day)
}

// Defaults of limits.
const (
	defaultKnownSessions     = 100_000 // the map of clients takes about 25 MB
	defaultSessionsPerClient = 16      // a browser needs one; a script may begin another at every visit
)

func (s *settings) setLimits() error {
	switch {
	case s.MaxValueBytes == 0:
		s.MaxValueBytes = 64 << 10
	case s.MaxValueBytes == Off:
		s.MaxValueBytes = 0
	case s.MaxValueBytes < 0:
		return bad("MaxValueBytes", "%d is negative; Off (%d) means no limit", s.MaxValueBytes, Off)
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxSessionsPerUser", s.MaxSessionsPerUser},
		{"MaxSessionsPerClient", s.MaxSessionsPerClient},
		{"MaxKnownSessions", s.MaxKnownSessions},
		{"MaxConnsPerSession", s.MaxConnsPerSession},
		{"MaxConnsPerAddr", s.MaxConnsPerAddr},
		{"MaxHandshakes", s.MaxHandshakes},
		{"HandshakeBurst", s.HandshakeBurst},
	} {
		if f.value < Off {
			return bad(f.name, "%d is negative; 0 or Off (%d) means no limit", f.value, Off)
		}
	}
	s.MaxHandshakes = cmp.Or(s.MaxHandshakes, defaultHandshakes)
	s.MaxKnownSessions = cmp.Or(s.MaxKnownSessions, defaultKnownSessions)
	s.MaxSessionsPerClient = cmp.Or(s.MaxSessionsPerClient, defaultSessionsPerClient)
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

// defaultHandshakes is what a process has at hand for some 25 MB: net/http's buffers and a stack
// are 24 KiB. If the store takes 5 ms they are 200,000 a second, far more than two cores do; a
// store that hangs for StoreTimeout holds no more than these.
const defaultHandshakes = 1024
