package devicebound

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/dbsc"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	// MinLife and MaxLife are the limits of Config.Life. Browsers refresh a cookie up to two minutes
	// before its end, so one with a shorter life would be refreshed all the time.
	MinLife = 3 * time.Minute
	MaxLife = 24 * time.Hour

	// Overlap is how long the proof of the last refresh is answered again.
	Overlap = time.Minute

	// registrationTime is how long the challenge of a registration is valid.
	registrationTime = 5 * time.Minute
	// lead is how long before its end for the server the bound cookie ends for the browser: requests
	// that were sent in time arrive in time.
	lead = 15 * time.Second
)

// validPath reports whether p may be Config.Path: a clean path below base, that of the cookies. It
// needs no escapes in a header.
func validPath(p, base string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
	return p != "/" && path.Clean(p) == p && strings.HasPrefix(p, strings.TrimSuffix(base, "/")+"/") &&
		strings.Trim(p, plain) == ""
}

// Check returns the error, made by invalid, of a path that can't be Config.Path with cookies of the
// path base, or of a time that can't be Config.Life.
func Check(invalid func(field, format string, args ...any) error, p, base string, life time.Duration) error {
	switch {
	case !validPath(p, base):
		return invalid("DeviceBound.Path", "%q is not a path below Options.Path, of letters, digits and -._~/", p)
	case life < MinLife || life > MaxLife:
		return invalid("DeviceBound.Life", "%v is out of range: %v to %v", life, MinLife, MaxLife)
	}
	return nil
}

// Config is how sessions are bound. Every field is set.
type Config struct {
	Gateway *gateway.Gateway
	Keys    [][]byte // the first signs, all verify

	Path       string // of the endpoints, without a slash at its end
	Cookie     http.Cookie
	Life       time.Duration // of a bound cookie
	Algorithms []dbsc.Algorithm

	// Open returns the session that the cookies of a request open, gateway.ErrMissing or
	// gateway.ErrTokenRotated if they open none. It is no activity.
	Open func(r *http.Request) (store.Record, error)
	// Tag is the tag of the changes that this package stores.
	Tag any
	// InForce is called when the binding of a session has come into force.
	InForce func(rec *store.Record)
	// Refused is called for a request to an endpoint that is refused because it proves nothing. One
	// that has no proof yet is no refusal. sessionID is "" if it isn't known. reason is one of a few
	// constants.
	Refused func(r *http.Request, sessionID, reason string)
}

// Devices binds sessions to devices. A nil *Devices binds none: Check, Read and Deadline find no
// binding, and Serve serves nothing. It is safe for concurrent use.
type Devices struct {
	cfg    Config
	signer signer
}

// New returns the Devices for cfg.
func New(cfg Config) *Devices {
	d := &Devices{cfg: cfg}
	d.SetKeys(cfg.Keys)
	return d
}

// SetKeys replaces the keys.
func (d *Devices) SetKeys(keys [][]byte) {
	if d != nil {
		d.signer.setKeys(keys)
	}
}

// Offer has the response to a login of the session offer a registration, unless the session's
// binding is in force: the device stays the same.
func (d *Devices) Offer(h http.Header, rec *store.Record) {
	if b := bindingOf(rec); b != nil && b.inForce || rec.UserID == "" {
		return
	}
	challenge := d.signer.sign(registration, statement{rec.ID, rec.LoginGeneration, 0}, gateway.Now())
	dbsc.Offer(h, d.cfg.Algorithms, d.cfg.Path+registerPath, challenge)
}

// Deadline returns the generation of the login whose binding is in force, and when its time is over
// unless the browser proves its key before; 0 for a session that isn't bound.
func (d *Devices) Deadline(rec *store.Record) (generation uint64, over time.Time) {
	if d == nil {
		return 0, over
	}
	if b := bindingOf(rec); b != nil && b.inForce {
		generation, over = b.login, b.proved.Add(d.cfg.Life)
	}
	return generation, over
}

// errUnchanged ends a change that has nothing to store.
var errUnchanged = errors.New("devicebound: nothing to store")

// change stores what next makes of the session's binding, nil for none, with the record as it is
// now. It returns the record that is stored then, the error of next, or that of the gateway.
func (d *Devices) change(
	ctx context.Context, rec store.Record, next func(now *store.Record, b *binding) (binding, error),
) (store.Record, error) {
	g := d.cfg.Gateway
	k := g.Acquire(rec.ID)
	defer k.Release()
	for range gateway.MaxAttempts {
		was := bindingOf(&rec)
		b, err := next(&rec, was)
		if errors.Is(err, errUnchanged) {
			return rec, nil
		}
		if err != nil {
			return rec, err
		}
		draft, err := gateway.NewDraft(rec)
		if err != nil {
			return rec, err
		}
		draft.SetDevice(b.encode())
		won, err := g.CommitExact(ctx, k, draft, d.cfg.Tag)
		if err == nil && b.inForce && (was == nil || !was.inForce) {
			d.cfg.InForce(draft.Base())
		}
		if won == nil {
			return *draft.Base(), err
		}
		rec = *won
	}
	return rec, gateway.ErrConflict
}
