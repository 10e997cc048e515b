package bridge

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gorillacodec"
	"github.com/sessionbridge/sessionbridge/store"
)

// gorillaSaid is what Gorilla() has said in the log: each thing once.
type gorillaSaid struct {
	options atomic.Uint32 // the fields of sessions.Options, as bits
	names   atomic.Bool
}

// sayOther logs, once, that a name isn't the main one: nothing else would tell code that expects
// it to be.
func (g gorillaStore) sayOther(name string) {
	if !g.b.gorilla.names.Swap(true) {
		g.b.opts.Logger.Info("a gorilla/sessions name that isn't Options.GorillaName has values of its own, and its end isn't the session's",
			slog.String("name", name), slog.String("GorillaName", g.b.opts.GorillaName))
	}
}

// options are those of a session as the Bridge has it; nil: of a new one.
func (g gorillaStore) options(rec *store.Record) sessions.Options {
	o := g.b.opts
	lifetime := limit(o.Lifetime)
	if rec != nil {
		lifetime = cookieAge(rec)
	}
	options := sessions.Options{
		Path: o.Path, Domain: o.Domain, HttpOnly: true, SameSite: o.SameSite, Secure: o.Secure == SecureAlways, Partitioned: o.Partitioned,
	}
	switch {
	case lifetime == credentials.UntilBrowserCloses:
	case lifetime <= 0 || lifetime > credentials.MaxAge:
		options.MaxAge = int(credentials.MaxAge / time.Second)
	default:
		options.MaxAge = max(1, int(lifetime/time.Second))
	}
	return options
}

// applyOptions does what the code has asked for in Options, as far as it goes, and says what is
// ignored. given is what it was given. The lock of s is held.
func (g gorillaStore) applyOptions(s *Session, space gorillacodec.Space, asked, given *sessions.Options, a *gorillacodec.Attempt) {
	if asked == nil {
		return
	}
	ages := asked.MaxAge >= 0 && asked.MaxAge != given.MaxAge
	g.sayIgnored(asked, given, ages && !space.IsMain())
	base := s.draft.Base()
	if !ages || !space.IsMain() || base.Revision == 0 && !s.draft.Changed() { // an empty new session isn't stored
		return
	}
	a.EndWithBrowser(&s.draft, asked.MaxAge == 0)
	if asked.MaxAge > 0 {
		a.SetLifetime(&s.draft, lifetimeFor(base, asked.MaxAge, time.Now()))
	}
}

// lifetimeStep is by how much a lifetime must differ from the one that there is to be changed: a
// Save with every request isn't to be a write with every request.
const lifetimeStep = time.Minute

// lifetimeFor returns the lifetime of a session that is to live for some seconds from now: it
// counts from its beginning.
func lifetimeFor(base *store.Record, seconds int, now time.Time) time.Duration {
	life := maxTimeout
	if seconds < int(maxTimeout/time.Second) {
		life = min(maxTimeout, max(0, now.Sub(base.Created)).Truncate(time.Millisecond)+time.Duration(seconds)*time.Second)
	}
	if differs := (life - base.Lifetime).Abs(); base.Lifetime > 0 && differs < min(lifetimeStep, time.Duration(seconds)*time.Second/10) {
		return base.Lifetime
	}
	return life
}

// sayIgnored logs which fields the code has set in vain, each once. age says that it is so with
// MaxAge.
func (g gorillaStore) sayIgnored(asked, given *sessions.Options, age bool) {
	o := g.b.opts
	fields := []struct {
		name    string
		ignored bool
	}{
		{"MaxAge (of a name that isn't Options.GorillaName)", age},
		{"Path", asked.Path != "" && asked.Path != o.Path},
		{"Domain", asked.Domain != given.Domain && asked.Domain != ""},
		{"Secure", asked.Secure && o.Secure == SecureNever},
		{"HttpOnly", !asked.HttpOnly},
		{"SameSite", asked.SameSite > http.SameSiteDefaultMode && asked.SameSite != o.SameSite},
		{"Partitioned", asked.Partitioned && !o.Partitioned},
	}
	var names []string
	for i, f := range fields {
		if bit := uint32(1) << i; f.ignored && g.b.gorilla.options.Or(bit)&bit == 0 {
			names = append(names, f.name)
		}
	}
	if len(names) > 0 {
		o.Logger.Warn("gorilla/sessions code sets options that are ignored: the cookie is the Bridge's", slog.String("options", strings.Join(names, ", ")))
	}
}
