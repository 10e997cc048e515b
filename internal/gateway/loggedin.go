package gateway

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// LoggedIn returns the time of the last login as of this draft, the zero time if there was none. A
// login here that waits for the commit counts as now.
func (d *Draft) LoggedIn() time.Time {
	if t := d.others().token; t != nil && t.login != nil {
		return t.login.time(Now())
	}
	return d.base.LoggedIn
}

// Began returns when the lifetime of the session began as of this draft: see store.Record.Began.
func (d *Draft) Began() time.Time {
	rec := store.Record{Created: d.base.Created, LoggedIn: d.LoggedIn()}
	return rec.Began()
}

// LogsIn returns the user that the draft logs in, if any.
func (d *Draft) LogsIn() (user string, ok bool) {
	if d.more == nil || d.more.token == nil || d.more.token.login == nil {
		return "", false
	}
	return d.more.token.login.UserID, true
}
