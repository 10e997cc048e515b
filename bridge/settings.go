package bridge

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/site"
	"github.com/sessionbridge/sessionbridge/store"
)

// settings are Options with every default filled in.
type settings struct {
	Options
	site *site.Site
}

// withDefaults returns o with its defaults, for a Bridge over st. An error names the field.
func (o *Options) withDefaults(st store.Store) (*settings, error) {
	s := &settings{Options: *o}
	if s.Logger == nil {
		s.Logger = slog.New(reporting.DefaultHandler{})
	}
	steps := []func() error{
		s.setKeys, s.setSite, s.setCookies, s.setPreset, s.setTimes, s.setLimits, s.checkPolicies, s.setDevice,
		func() error { return s.site.CheckDanger(bad) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, s.checkStore(o, st)
}

func (s *settings) setKeys() error {
	if s.Keys == nil {
		s.Keys = [][]byte{credentials.NewKey()}
		s.Logger.Warn("no Options.Keys: a random key signs the cookies, and no cookie survives a restart " +
			"(LoadOrCreateKeys keeps keys in a file)")
		return nil
	}
	keys, err := credentials.CopyKeys(s.Keys, bad)
	s.Keys = keys
	return err
}

func (s *settings) setCookies() error {
	s.Name = cmp.Or(s.Name, "sid")
	s.GorillaName = cmp.Or(s.GorillaName, s.Name)
	s.ClientName = cmp.Or(s.ClientName, s.Name+".cid")
	s.Path = cmp.Or(s.Path, "/")
	s.SameSite = cmp.Or(s.SameSite, http.SameSiteLaxMode)
	s.ClearSiteData = slices.Clone(s.ClearSiteData)
	s.setFormer()
	cfg := s.credentials()
	if err := cfg.Check(bad, s.Secure == SecureAlways); err != nil {
		return err
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

// setFormer completes FormerNames and FormerScopes.
func (s *settings) setFormer() {
	s.FormerNames, s.FormerScopes = slices.Clone(s.FormerNames), slices.Clone(s.FormerScopes)
	for i := range s.FormerNames {
		f := &s.FormerNames[i]
		f.Name = cmp.Or(f.Name, s.Name)
		f.ClientName = cmp.Or(f.ClientName, f.Name+".cid")
	}
	for i := range s.FormerScopes {
		f := &s.FormerScopes[i]
		f.Path = cmp.Or(f.Path, "/")
	}
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
	if err := ranges.Enum("Options.Timeouts", s.Timeouts, 0, TimeoutsNISTAAL3); err != nil {
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
	if err := ranges.Fill("Options",
		ranges.OrOff("IdleTimeout", &s.IdleTimeout, day, MinTimeout),
		ranges.OrOff("Lifetime", &s.Lifetime, 30*day, MinTimeout),
		ranges.On("ClientMaxAge", &s.ClientMaxAge, 365*day, time.Second),
		ranges.OrOff("ClientRollEvery", &s.ClientRollEvery, day, 1),
		ranges.On("TouchInterval", &s.TouchInterval, time.Minute, 1),
		ranges.OrOff("AutoCleanup", &s.AutoCleanup, 0, MinTimeout),
		ranges.OrOff("RotateGrace", &s.RotateGrace, 10*time.Second, 1),
		ranges.On("StoreTimeout", &s.StoreTimeout, 5*time.Second, time.Millisecond),
		ranges.OrOff("RenewEvery", &s.RenewEvery, Off, time.Second),
		ranges.OrOff("RememberEnds", &s.RememberEnds, time.Hour, time.Second),
		ranges.OrOff("RevalidateEvery", &s.RevalidateEvery, 5*time.Minute, time.Second),
		ranges.On("TicketLifetime", &s.TicketLifetime, 30*time.Second, time.Second),
		ranges.OrOff("PresenceGrace", &s.PresenceGrace, 5*time.Second, time.Millisecond),
		ranges.OrOff("DrainOver", &s.DrainOver, Off, time.Millisecond),
	); err != nil {
		return err
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
	err := cmp.Or(
		ranges.FillLimit("Options.MaxSessionsPerUser", &s.MaxSessionsPerUser, 0),
		ranges.FillLimit("Options.MaxSessionsPerClient", &s.MaxSessionsPerClient, 16), // a script may create many
		ranges.FillLimit("Options.MaxKnownSessions", &s.MaxKnownSessions, 100_000),    // about 25 MB in the map of clients
		ranges.FillLimit("Options.MaxConnsPerSession", &s.MaxConnsPerSession, 0),
		ranges.FillLimit("Options.MaxConnsPerAddr", &s.MaxConnsPerAddr, 0),
		ranges.FillAmount("Options.MaxKeptMessages", &s.MaxKeptMessages, 256),
		ranges.FillAmount("Options.MaxKeptBytes", &s.MaxKeptBytes, 256<<10),
		ranges.FillAmount("Options.MaxKeptMemory", &s.MaxKeptMemory, 64<<20),
		ranges.FillLimit("Options.MaxHandshakes", &s.MaxHandshakes, defaultHandshakes),
		ranges.FillLimit("Options.HandshakeBurst", &s.HandshakeBurst, 0),
		ranges.FillLimit("Options.MaxValueBytes", &s.MaxValueBytes, 64<<10),
		ranges.Rate("Options.HandshakesPerSecond", s.HandshakesPerSecond),
		s.HandshakesPerAddr.check("HandshakesPerAddr"),
		s.HandshakesPerSession.check("HandshakesPerSession"),
		s.MessagesPerAddr.check("MessagesPerAddr"),
		s.MessagesPerSession.check("MessagesPerSession"),
		s.NewSessionsPerAddr.check("NewSessionsPerAddr"),
	)
	if err != nil {
		return err
	}
	if share := s.OptimizeAfter; !(share >= 0 && share <= 1) {
		return bad("OptimizeAfter", "%v is out of range: 0, which means never, to 1", share)
	}
	return nil
}

func (s *settings) checkPolicies() error {
	return errors.Join(
		ranges.Enum("Options.Secure", s.Secure, 0, SecureNever),
		ranges.Enum("Options.Cookie", s.Cookie, 0, CookieBrowserSession),
		ranges.Enum("Options.OnTooManySessions", s.OnTooManySessions, 0, RefuseLogin),
		ranges.Enum("Options.OnTooManyConns", s.OnTooManyConns, 0, EvictOldestConn),
		ranges.Enum("Options.OnSessionEnd", s.OnSessionEnd, 0, KeepConns),
		ranges.Enum("Options.Rebind", s.Rebind, 0, Follow),
		ranges.Enum("Options.ProxyHeaders", s.ProxyHeaders, 0, OnlyForwarded),
		ranges.Enum("Options.RecordAddr", s.RecordAddr, 0, RecordNetwork),
		ranges.Enum("Options.RecordUserAgent", s.RecordUserAgent, 0, RecordNetwork),
		s.checkUserAgent(),
	)
}

func (s *settings) checkUserAgent() error {
	if s.RecordUserAgent == RecordNetwork {
		return bad("RecordUserAgent", "RecordNetwork is for addresses: use RecordFull or RecordOff")
	}
	return nil
}

func (s *settings) setSite() (err error) {
	s.site, err = site.New(site.Config{
		Secure: site.Secure(s.Secure), Proxies: s.TrustedProxies, Headers: forwarded.Headers(s.ProxyHeaders),
		Records: s.records(), OriginPatterns: s.OriginPatterns, CheckOrigin: s.CheckOrigin,
		Insecure: s.DangerouslyInsecure, Logger: s.Logger,
	}, bad)
	return err
}

// records returns what is recorded of clients.
func (s *settings) records() forwarded.Recording {
	return forwarded.Recording{Addrs: forwarded.Extent(s.RecordAddr), UserAgents: forwarded.Extent(s.RecordUserAgent)}
}

// deviceName returns the name of the bound cookie, "" without DeviceBound.
func (s *settings) deviceName() string {
	if s.DeviceBound == nil {
		return ""
	}
	return s.Name + ".device"
}

// setDevice checks and completes DeviceBound.
func (s *settings) setDevice() error {
	if s.DeviceBound == nil {
		return nil
	}
	d := *s.DeviceBound
	s.DeviceBound = &d // a copy
	d.Path = cmp.Or(d.Path, path.Join(s.Path, "session-device"))
	d.Life = cmp.Or(d.Life, 10*time.Minute)
	switch {
	case s.ClientName == s.deviceName():
		return bad("DeviceBound", "the bound cookie has the name of the client cookie, %q", s.ClientName)
	case s.Domain != "":
		return bad("DeviceBound", "browsers bind the sessions of one host, and Options.Domain shares the cookies with others")
	case s.Secure == SecureNever:
		return bad("DeviceBound", "browsers bind Secure cookies only, and Options.Secure is SecureNever")
	case s.Rebind == Follow:
		return bad("DeviceBound", "with Options.Rebind Follow connections get a session that they have not proved")
	}
	return devicebound.Check(bad, d.Path, s.Path, d.Life)
}

// checkStore returns an error if o, the options before the defaults, sets what the store can't do.
// A default that it can't do is switched off.
func (s *settings) checkStore(o *Options, st store.Store) error {
	_, ofUser := store.As[store.UserIndex](st)
	_, ofClient := store.As[store.ClientIndex](st)
	_, ordered := store.As[store.ClientOrder](st)
	_, optimizes := store.As[store.Optimizer](st)
	switch {
	case o.MaxSessionsPerUser > 0 && !ofUser:
		return bad("MaxSessionsPerUser",
			"the store can't find a user's sessions: it is no store.UserIndex: %w", ErrUnsupported)
	case o.MaxSessionsPerClient > 0 && !ofClient && !ordered:
		return bad("MaxSessionsPerClient", "the store can't find a client's sessions: "+
			"it is neither a store.ClientOrder nor a store.ClientIndex: %w", ErrUnsupported)
	case o.OptimizeAfter > 0 && !optimizes:
		return bad("OptimizeAfter", "the store can't reclaim space: it is no store.Optimizer: %w", ErrUnsupported)
	case o.OptimizeAfter > 0 && !gateway.CanList(st):
		return bad("OptimizeAfter", "the store can't count sessions: "+
			"it is no store.ActiveLister, store.ActivityIndex or store.Lister: %w", ErrUnsupported)
	case !ofClient && !ordered:
		s.MaxSessionsPerClient = Off
	}
	if _, spaces := store.As[store.Namespacer](st); o.Import != nil && !spaces {
		return bad("Import", "the store has no place for a list of what was imported: "+
			"it is no store.Namespacer: %w", ErrUnsupported)
	}
	return nil
}

// credentials returns the part of the settings that cookies and tokens depend on.
func (s *settings) credentials() credentials.Config {
	c := credentials.Config{
		Keys:            s.Keys,
		Name:            s.Name,
		ClientName:      s.ClientName,
		DeviceName:      s.deviceName(),
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
	for _, f := range s.FormerNames {
		c.Former.Names = append(c.Former.Names, credentials.Names{Session: f.Name, Client: f.ClientName})
	}
	for _, f := range s.FormerScopes {
		c.Former.Scopes = append(c.Former.Scopes, credentials.Scope(f))
	}
	if len(s.OriginPatterns) > 0 {
		c.OriginAllowed = s.site.OriginAllowed
	}
	return c
}

// grace returns how long previous tokens are accepted.
func (s *settings) grace() credentials.Grace {
	return credentials.Grace{Rotate: zeroIfOff(s.RotateGrace), Renew: zeroIfOff(s.RenewEvery)}
}

// connLimits returns the limits on the connections of a session and of an address.
func (s *settings) connLimits() registry.Limits {
	return registry.Limits{
		PerSession: max(0, s.MaxConnsPerSession), PerAddr: max(0, s.MaxConnsPerAddr),
		Evict: s.OnTooManyConns == EvictOldestConn,
	}
}
