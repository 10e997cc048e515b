package devicebound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/dbsc"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// The endpoints, below Config.Path.
const (
	registerPath = "/register"
	refreshPath  = "/refresh"
)

// The reasons for which an endpoint refuses a request.
var (
	errRefused = errors.New("devicebound: the registration is refused")
	errRetry   = errors.New("devicebound: the proof is for another challenge")
	errOver    = errors.New("devicebound: there is no such binding")
	errID      = fmt.Errorf("%w: it names no session", dbsc.ErrProof)
)

// Serve answers a request for one of the endpoints. It returns false, and does nothing, for another
// request.
func (d *Devices) Serve(w http.ResponseWriter, r *http.Request) bool {
	if d == nil {
		return false
	}
	var answer func(http.ResponseWriter, *http.Request) (sessionID string, err error)
	switch r.URL.Path {
	case d.cfg.Path + registerPath:
		answer = d.register
	case d.cfg.Path + refreshPath:
		answer = d.refresh
	default:
		return false
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		h.Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return true
	}
	if id, err := answer(w, r); err != nil {
		if reason := reason(err); reason != "" {
			d.cfg.Refused(r, id, reason)
		}
		w.WriteHeader(status(err))
	}
	return true
}

// status returns the status for an error. Browsers end the session after a 4xx other than a 403
// with a challenge, and try again after a 503.
func status(err error) int {
	switch {
	case errors.Is(err, dbsc.ErrProof):
		return http.StatusBadRequest
	case errors.Is(err, errRefused), errors.Is(err, errRetry),
		errors.Is(err, gateway.ErrMissing), errors.Is(err, gateway.ErrTokenRotated), errors.Is(err, gateway.ErrGone):
		return http.StatusForbidden
	}
	return http.StatusServiceUnavailable
}

// reason returns the reason of a refusal, "" for an error that is none.
func reason(err error) string {
	switch {
	case errors.Is(err, dbsc.ErrProof):
		return "proof"
	case errors.Is(err, errRefused):
		return "registration"
	case errors.Is(err, gateway.ErrMissing), errors.Is(err, gateway.ErrTokenRotated), errors.Is(err, gateway.ErrGone):
		return "session"
	}
	return ""
}

// register answers a registration: the session is bound to the key once the browser presents the
// bound cookie of this answer. Each login offers one registration, whose challenge is then used up.
func (d *Devices) register(w http.ResponseWriter, r *http.Request) (id string, err error) {
	rec, err := d.cfg.Open(r)
	if err != nil {
		return "", err
	}
	key, challenge, err := dbsc.Register(dbsc.ReadProof(r.Header), d.cfg.Algorithms)
	if err != nil {
		return rec.ID, err
	}
	encoded, err := key.Bytes()
	if err != nil {
		return rec.ID, err
	}
	now, err := d.change(r.Context(), rec, func(now *store.Record, b *binding) (binding, error) {
		if b != nil && (b.inForce || b.login >= now.LoginGeneration) ||
			!d.fresh(registration, statement{now.ID, now.LoginGeneration, 0}, challenge, registrationTime) {
			return binding{}, errRefused
		}
		return binding{login: now.LoginGeneration, proved: gateway.Now(), key: encoded}, nil
	})
	if err != nil {
		return rec.ID, err
	}
	in := dbsc.Instructions{SessionID: now.ID, RefreshURL: d.cfg.Path + refreshPath, Cookie: d.cfg.Cookie}
	body, err := in.Encode()
	if err != nil {
		return rec.ID, err
	}
	d.setCookie(w.Header(), &now)
	writeJSON(w, body)
	return rec.ID, nil
}

// refresh answers a refresh. The session is found by its identifier: the bound cookie is gone, and
// the session cookie proves nothing here.
func (d *Devices) refresh(w http.ResponseWriter, r *http.Request) (id string, err error) {
	id, jwt := dbsc.ReadID(r.Header), dbsc.ReadProof(r.Header)
	if _, ok := uuidtext.Parse(id); !ok {
		return "", errID
	}
	rec, err := d.cfg.Gateway.Load(r.Context(), id)
	if err == nil {
		rec, err = d.prove(r.Context(), rec, jwt)
	}
	switch {
	case errors.Is(err, gateway.ErrMissing), errors.Is(err, gateway.ErrGone), errors.Is(err, errOver):
		return id, d.end(w, id)
	case errors.Is(err, errRetry):
		d.challenge(w.Header(), &rec)
		return id, err
	case err != nil:
		return id, err
	}
	d.setCookie(w.Header(), &rec)
	d.challenge(w.Header(), &rec) // so that the next refresh needs one request
	w.WriteHeader(http.StatusOK)
	return id, nil
}

// prove records a proof of the session's device and returns the record. It returns errRetry if the
// proof has no valid challenge, and errOver if the session isn't bound.
func (d *Devices) prove(ctx context.Context, rec store.Record, jwt string) (store.Record, error) {
	b := bindingOf(&rec)
	if b == nil || len(b.key) == 0 {
		return rec, errOver
	}
	if jwt == "" {
		return rec, errRetry
	}
	key, err := dbsc.ParseKey(b.key)
	if err != nil {
		return rec, errOver
	}
	challenge, err := key.Verify(jwt)
	if err != nil {
		return rec, err
	}
	login := b.login
	return d.change(ctx, rec, func(now *store.Record, b *binding) (binding, error) {
		if b == nil || b.login != login {
			return binding{}, errOver
		}
		valid := func(proofs uint64) bool {
			return d.fresh(refresh, statement{now.ID, login, proofs}, challenge, 2*d.cfg.Life)
		}
		at := gateway.Now()
		switch {
		case valid(b.proofs):
			return binding{inForce: true, login: login, proofs: b.proofs + 1, proved: at, key: b.key}, nil
		case b.proofs > 0 && at.Sub(b.proved).Abs() < Overlap && valid(b.proofs-1): // its answer may be lost
			return binding{}, errUnchanged
		}
		return binding{}, errRetry
	})
}

// fresh reports whether the challenge is one for the statement that isn't older than age.
func (d *Devices) fresh(p purpose, what statement, challenge string, age time.Duration) bool {
	at, ok := d.signer.verify(p, what, challenge)
	return ok && gateway.Now().Sub(at) < age
}

// end makes the browser end a binding that doesn't exist any more.
func (d *Devices) end(w http.ResponseWriter, id string) error {
	body, err := dbsc.End(id)
	if err != nil {
		return err
	}
	gone := d.cfg.Cookie
	gone.MaxAge = -1
	w.Header().Add("Set-Cookie", gone.String())
	writeJSON(w, body)
	return nil
}

// challenge gives the browser the challenge of the next refresh.
func (d *Devices) challenge(h http.Header, rec *store.Record) {
	if b := bindingOf(rec); b != nil {
		text := d.signer.sign(refresh, statement{rec.ID, b.login, b.proofs}, gateway.Now())
		dbsc.ChallengeHeader(h, text, rec.ID)
	}
}

// setCookie sets the bound cookie of the last proof. The answer to the same proof sent again has
// the same cookie.
func (d *Devices) setCookie(h http.Header, rec *store.Record) {
	b := bindingOf(rec)
	if b == nil {
		return
	}
	until := b.proved.Add(d.cfg.Life)
	left := until.Sub(gateway.Now()) - lead
	value := d.signer.sign(boundCookie, statement{rec.ID, b.login, 0}, until)
	h.Add("Set-Cookie", dbsc.SetCookie(d.cfg.Cookie, value, max(1, int(left/time.Second))))
}

func writeJSON(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
