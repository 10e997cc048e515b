package opening

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// errOtherDevice: the session is bound to a device that the request doesn't prove.
var errOtherDevice = fmt.Errorf("%w: another device", errRefused)

// proveDevice is prove for the token and the device that the session is bound to. It also returns
// errOtherDevice, for a token that is proved or has just been replaced.
func (x *Exchange) proveDevice(rec *store.Record, cookies credentials.Candidate) (
	generation uint64, t credentials.Token, v devicebound.Verdict, err error,
) {
	generation, t, err = x.prove(rec, cookies)
	if errors.Is(err, errRefused) {
		return generation, t, v, err
	}
	if v = x.o.cfg.Devices.Check(rec, &x.device); v.Refused {
		err = errOtherDevice
	}
	return generation, t, v, err
}

// confirmDevice brings the binding of the session that has been opened into force, if its proof is
// the first one. If that fails the session stays open to its token alone, until the next proof.
func (x *Exchange) confirmDevice(ctx context.Context, o *Opened, v devicebound.Verdict) {
	o.Device = v.Login
	err := x.o.cfg.Devices.Confirm(ctx, o.Record, v)
	if err != nil && !errors.Is(err, gateway.ErrGone) {
		x.o.cfg.Unconfirmed(ctx, o.Record.ID, err)
	}
}

// keepCookie has the response replace the session cookie by none of a guest: the browser can still
// prove the device of the session, but had no opportunity to do so before this request.
func (x *Exchange) keepCookie() {
	if !x.device.Unrefreshed {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.Withhold()
}
