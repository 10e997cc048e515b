package gateway

import "time"

// LoggedIn returns when the last login was as of this draft, the zero time for never: one that waits for the commit is now.
func (d *Draft) LoggedIn() time.Time {
	if t := d.others().token; t != nil && t.login != nil {
		return Now()
	}
	return d.base.LoggedIn
}
