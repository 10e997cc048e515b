package gorillastore

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillacodec"
	"github.com/sessionbridge/sessionbridge/store"
)

// options returns the Options of the session that is stored as rec; nil is an unknown session.
func (st *Store) options(rec *store.Record) sessions.Options {
	options, lifetime, withBrowser := st.cfg.Options, st.cfg.Lifetime(), st.cfg.EndsWithBrowser
	if rec != nil {
		lifetime, withBrowser = rec.Lifetime, gateway.EndsWithBrowser(rec.Data)
	}
	switch {
	case withBrowser: // MaxAge 0
	case lifetime <= 0 || lifetime > st.cfg.MaxAge:
		options.MaxAge = int(st.cfg.MaxAge / time.Second)
	default:
		options.MaxAge = max(1, int(lifetime/time.Second))
	}
	return options
}

// applyOptions applies the Options that the code has set, as far as possible, and logs the fields
// that are ignored. given are the Options that it was given.
func (st *Store) applyOptions(
	d *gateway.Draft,
	space gorillacodec.Space,
	asked, given *sessions.Options,
	a *gorillacodec.Attempt,
) {
	if asked == nil {
		return
	}
	ages := asked.MaxAge >= 0 && asked.MaxAge != given.MaxAge
	st.logIgnored(asked, given, ages && !space.IsMain())
	base := d.Base()
	if !ages || !space.IsMain() || base.Revision == 0 && !d.Changed() { // an empty new session isn't stored
		return
	}
	a.EndWithBrowser(d, asked.MaxAge == 0)
	if asked.MaxAge > 0 {
		a.SetLifetime(d, st.lifetime(d, asked.MaxAge, time.Now()))
	}
}

// lifetimeStep is the smallest change of a lifetime that is stored: otherwise a Save in each
// request would be a write in each request.
const lifetimeStep = time.Minute

// lifetime returns the lifetime, counted from the session's creation or its last login, with which
// it ends in so many seconds from now.
func (st *Store) lifetime(d *gateway.Draft, seconds int, now time.Time) time.Duration {
	base, most := d.Base(), st.cfg.MaxLifetime
	if seconds >= int(most/time.Second) {
		return near(base.Lifetime, most, lifetimeStep)
	}
	age := max(0, now.Sub(d.Began())).Truncate(time.Millisecond)
	rest := time.Duration(seconds) * time.Second
	return near(base.Lifetime, min(most, age+rest), min(lifetimeStep, rest/10))
}

// near returns current if wanted differs from it by less than step, otherwise wanted.
func near(current, wanted, step time.Duration) time.Duration {
	if current > 0 && (wanted-current).Abs() < step {
		return current
	}
	return wanted
}

// logIgnored logs the fields that the code has set without effect, each once. age: MaxAge is one of
// them.
func (st *Store) logIgnored(asked, given *sessions.Options, age bool) {
	own := &st.cfg.Options
	fields := []struct {
		name    string
		ignored bool
	}{
		{"MaxAge (of a name that isn't Options.GorillaName)", age},
		{"Path", asked.Path != "" && asked.Path != own.Path},
		{"Domain", asked.Domain != given.Domain && asked.Domain != ""},
		{"Secure", asked.Secure && st.cfg.NeverSecure},
		{"HttpOnly", !asked.HttpOnly},
		{"SameSite", asked.SameSite > http.SameSiteDefaultMode && asked.SameSite != own.SameSite},
		{"Partitioned", asked.Partitioned && !own.Partitioned},
	}
	var names []string
	for i, f := range fields {
		if bit := uint32(1) << i; f.ignored && st.ignored.Or(bit)&bit == 0 {
			names = append(names, f.name)
		}
	}
	if len(names) > 0 {
		st.cfg.Logger.Warn("gorilla/sessions code sets options that are ignored: the cookie is the Bridge's",
			slog.String("options", strings.Join(names, ", ")))
	}
}
