package importer

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Options says how sessions are imported.
type Options struct {
	// UserID returns the user who is logged in, "" for a guest. It may change the values, which are
	// then those of the imported session: convert a type, or delete what isn't needed any more.
	// Default: every session is a guest's.
	UserID func(values map[string]any) string
	// LoggedIn returns when the user has logged in, if the application keeps that in the values; the
	// zero time if it isn't known. It is called before UserID. Default: not known, so that
	// RequireAuthAge asks for a login.
	LoggedIn func(values map[string]any) time.Time
	// Destroy has the other library's session destroyed once it is imported. A CookieStore can't
	// destroy a session. Default: it is left alone, so that an older version of the application,
	// which is running at the same time, can go on with it; what that changes from then on isn't
	// imported.
	Destroy bool
}

// complete sets what the values say about the session, and returns its user.
func (o *Options) complete(in *bridge.Import, values map[string]any) (userID string) {
	if o.LoggedIn != nil {
		in.LoggedIn = o.LoggedIn(values)
	}
	if o.UserID == nil {
		return ""
	}
	return o.UserID(values)
}

// SCS is what FromSCS needs of a *scs.SessionManager.
type SCS interface {
	Load(ctx context.Context, token string) (context.Context, error)
	Token(ctx context.Context) string
	Keys(ctx context.Context) []string
	Get(ctx context.Context, key string) any
	Deadline(ctx context.Context) time.Time
	Destroy(ctx context.Context) error
}

// FromSCS imports the sessions of a *scs.SessionManager, the name of whose cookie is given. They
// end at their deadline there: see bridge.Import.Expires.
func FromSCS(manager SCS, cookie string, opts Options) func(*http.Request) *bridge.Import {
	return func(r *http.Request) *bridge.Import {
		c, err := r.Cookie(cookie)
		if err != nil || c.Value == "" {
			return nil
		}
		var found context.Context
		in := &bridge.Import{Key: c.Value}
		in.Load = func(ctx context.Context) (userID string, values map[string]any, ok bool, err error) {
			found, err = manager.Load(bare{ctx}, c.Value)
			if err != nil || manager.Token(found) == "" { // otherwise it has made a new one
				return "", nil, false, err
			}
			values = make(map[string]any)
			for _, key := range manager.Keys(found) {
				values[key] = manager.Get(found, key)
			}
			in.Expires = manager.Deadline(found)
			return opts.complete(in, values), values, true, nil
		}
		if opts.Destroy {
			in.Done = func(context.Context) error { return manager.Destroy(found) }
		}
		return in
	}
}

// bare is a context without its values: scs would return the session that a LoadAndSave around the
// Bridge has put there.
type bare struct{ context.Context }

func (bare) Value(any) any { return nil }

// FromGorilla imports the sessions of a store of gorilla/sessions that have the name, which is that
// of their cookie. Keys must be strings; flashes are not imported. Sessions end when the cookie
// would have been too old for the store: the MaxAge of Session.Options after it was signed, at the
// last Save. With a MaxAge of 0, and codecs that are not of package securecookie, that isn't known.
// The session is read at each call of the function, since only the store can say which one a cookie
// names.
func FromGorilla(st sessions.Store, name string, opts Options) func(*http.Request) *bridge.Import {
	return func(r *http.Request) *bridge.Import {
		c, err := r.Cookie(name)
		if err != nil || c.Value == "" {
			return nil
		}
		session, failed := st.New(r, name) // not Get, which keeps it in a registry and changes r
		if session == nil {
			return &bridge.Import{Key: c.Value, Load: func(context.Context) (string, map[string]any, bool, error) {
				return "", nil, false, failed
			}}
		}
		in := &bridge.Import{Key: session.ID} // the same after each Save, unlike the cookie
		if in.Key == "" {
			in.Key = spelled(c.Value)
		}
		in.Load = func(context.Context) (string, map[string]any, bool, error) {
			var invalid securecookie.Error
			switch {
			case errors.As(failed, &invalid) && invalid.IsDecode(), errors.Is(failed, fs.ErrNotExist):
				return "", nil, false, nil
			case failed != nil || session.IsNew:
				return "", nil, false, failed
			}
			values, err := stringKeys(session.Values)
			if err != nil {
				return "", nil, false, err
			}
			if at, ok := signedAt(c.Value); ok && session.Options != nil && session.Options.MaxAge > 0 {
				in.Expires = at.Add(time.Duration(session.Options.MaxAge) * time.Second)
			}
			return opts.complete(in, values), values, true, nil
		}
		if opts.Destroy {
			in.Done = func(context.Context) error {
				session.Options.MaxAge = -1
				return st.Save(r, discard{}, session)
			}
		}
		return in
	}
}

// spelled returns the one spelling of a value in base64, in which decoding ignores some bits: each of
// the others would be imported as another session.
func spelled(value string) string {
	raw, err := base64.URLEncoding.DecodeString(value)
	if err != nil {
		return value
	}
	return base64.URLEncoding.EncodeToString(raw)
}

// signedAt returns when package securecookie has signed the value of a cookie, which the store has
// verified: it is the base64 of "seconds|data|signature".
func signedAt(value string) (at time.Time, ok bool) {
	text, err := base64.URLEncoding.DecodeString(value)
	if err != nil {
		return at, false
	}
	digits, _, _ := bytes.Cut(text, []byte("|"))
	seconds, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(seconds, 0), err == nil
}

func stringKeys(values map[any]any) (map[string]any, error) {
	all := make(map[string]any, len(values))
	for key, v := range values {
		name, ok := key.(string)
		if !ok {
			return nil, &bridge.ValueError{Key: fmt.Sprint(key), Err: fmt.Errorf("the key is of type %T: only strings can be "+
				"keys of a session; delete or rename it in a sessions.Store around yours", key)}
		}
		if name != flashes {
			all[name] = v
		}
	}
	return all, nil
}

// flashes is the key of the flashes of gorilla/sessions.
const flashes = "_flash"

// discard is the http.ResponseWriter of a Save whose cookie isn't sent: a response must not remove
// the other library's cookie before the Bridge's has arrived.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
