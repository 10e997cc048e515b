package imports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
)

// Source is a session of another library that a request presents. Load returns the session's user
// and its values, and may set LoggedIn and Expires. The bridge has the documentation of the fields.
type Source struct {
	Key      string
	Load     func(ctx context.Context) (userID string, values map[string]any, ok bool, err error)
	LoggedIn time.Time
	Expires  time.Time
	Done     func(ctx context.Context) error
}

// Foreign is a session that a Source has loaded.
type Foreign struct {
	UserID   string
	Values   map[string]any
	LoggedIn time.Time     // in the precision of records; zero: not known
	Lifetime time.Duration // what is left of it; 0: not known
}

// Read loads the session, nil if there is none, or if it has expired. It returns a
// *gateway.ValueError of Load, an error for an invalid user ID, and gateway.ErrUnavailable for any
// other error.
func (s *Source) Read(ctx context.Context) (*Foreign, error) {
	userID, values, ok, err := s.Load(ctx)
	var value *gateway.ValueError
	switch {
	case errors.As(err, &value):
		return nil, fmt.Errorf("bridge: import a session: %w", err)
	case err != nil:
		return nil, fmt.Errorf("%w: import a session: %w", gateway.ErrUnavailable, err)
	case !ok, userID == "" && len(values) == 0:
		return nil, nil
	}
	if userID != "" {
		if err := logins.CheckUserID(userID); err != nil { // of the application: the client can't do anything about it
			return nil, errors.New("bridge: import a session: " + err.Error())
		}
	}
	f := &Foreign{UserID: userID, Values: values}
	if !s.Expires.IsZero() {
		if f.Lifetime = time.Until(s.Expires).Truncate(time.Millisecond); f.Lifetime <= 0 {
			return nil, nil
		}
	}
	if at := s.LoggedIn; at.After(time.Unix(0, 0)) && !at.After(time.Now()) {
		f.LoggedIn = at.UTC().Truncate(time.Millisecond)
	}
	return f, nil
}

// Limit returns the lifetime of the session that this one becomes, whose lifetime is full otherwise,
// 0 being none, and whether it is less than that: an import prolongs nothing.
func (f *Foreign) Limit(full time.Duration) (lifetime time.Duration, limited bool) {
	if f.Lifetime > 0 && (full <= 0 || f.Lifetime < full) {
		return f.Lifetime, true
	}
	return full, false
}
