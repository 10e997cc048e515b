package gateway

import "time"

// LoggedIn returns when the last login was as of this draft, the zero time for never: one that
// waits for the commit is now.
func (d *Draft) LoggedIn() time.Time {
	if t := d.others().token; t != nil && t.login != nil {
		return Now()
	}
	return d.base.LoggedIn
}

// LogsIn returns the user that the draft logs in, if it does.
func (d *Draft) LogsIn() (user string, ok bool) {
	if d.more == nil || d.more.token == nil || d.more.token.login == nil {
		return "", false
	}
	return d.more.token.login.UserID, true
}
