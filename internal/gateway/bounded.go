package gateway

import (
	"strconv"
	"time"
)

// boundedKey marks a session whose lifetime is a shorter one until the next login: see
// LifetimeAfterLogin. Its value is the other one in nanoseconds, 0 for no limit. It is kept with
// the values, as browserKey is.
const boundedKey = reservedPrefix + "bounded"

// LifetimeAfterLogin has the next login set the lifetime to v, unless SetLifetime is called before.
func (d *Draft) LifetimeAfterLogin(v time.Duration) {
	d.PutStored(boundedKey, strconv.AppendInt(nil, int64(v), 10))
}

// unbounds reports whether LifetimeAfterLogin has no effect any more after the commit.
func (o *otherEdits) unbounds() bool {
	return o.life != nil || o.token != nil && o.token.login != nil && !o.token.login.Elsewhere
}

// lifetimeAfterLogin returns the lifetime that a login gives a session with the data; ok is false
// if it stays as it is.
func lifetimeAfterLogin(data []byte) (v time.Duration, ok bool) {
	raw := stored(data, boundedKey)
	if raw == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return time.Duration(n), err == nil && n >= 0
}
