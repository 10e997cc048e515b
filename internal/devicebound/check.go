package devicebound

import (
	"context"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/dbsc"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// maxRead is how many bound cookies of a request are read. It is more than a browser keeps for a
// site (180 in Chromium), so that cookies added by a sibling host never use it up.
const maxRead = 256

// Presented is what a request presents besides the session's token.
type Presented struct {
	cookies []string
	// Unrefreshed reports whether the browser may have had no opportunity to refresh the bound cookie
	// before the request: another site has caused the request, or the browser says so.
	Unrefreshed bool
}

// Read returns what r presents.
func (d *Devices) Read(r *http.Request) (p Presented) {
	if d == nil {
		return p
	}
	for i, c := range r.CookiesNamed(d.cfg.Cookie.Name) {
		if i == maxRead {
			break
		}
		p.cookies = append(p.cookies, c.Value)
	}
	p.Unrefreshed = r.Header.Get("Sec-Fetch-Site") == "cross-site" || dbsc.Skipped(r.Header)
	return p
}

// Verdict is the result of a Check.
type Verdict struct {
	Refused bool   // the session is bound, and the request doesn't prove its device
	Login   uint64 // the generation of the login whose binding is proved; 0: the session isn't bound
	pending bool   // the proof is the first one
}

// Check checks the proof of a session's device. The session's token has been proved.
func (d *Devices) Check(rec *store.Record, p *Presented) (v Verdict) {
	if d == nil {
		return v
	}
	b := bindingOf(rec)
	if b == nil {
		return v
	}
	now := gateway.Now()
	for _, text := range p.cookies {
		until, ok := d.signer.verify(boundCookie, statement{rec.ID, b.login, 0}, text)
		if ok && now.Before(until) && until.Sub(now) <= MaxLife {
			return Verdict{Login: b.login, pending: !b.inForce}
		}
	}
	return Verdict{Refused: b.inForce}
}

// Confirm brings the binding of the session into force if v has been its first proof, and updates
// rec. After an error the next proof does so.
func (d *Devices) Confirm(ctx context.Context, rec *store.Record, v Verdict) error {
	if !v.pending {
		return nil
	}
	now, err := d.change(context.WithoutCancel(ctx), *rec, func(_ *store.Record, b *binding) (binding, error) {
		if b == nil || b.inForce || b.login != v.Login {
			return binding{}, errUnchanged
		}
		next := *b
		next.inForce = true
		return next, nil
	})
	if err == nil {
		*rec = now
	}
	return err
}
