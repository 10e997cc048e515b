package devicebound

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// binding is the state of a session's binding. Its encoding has a length that depends on the key
// only, so that a refresh never makes a session too large.
type binding struct {
	inForce bool      // the browser has presented a proof since the registration
	login   uint64    // generation of the login whose response has offered the registration
	proofs  uint64    // how many refreshes there were
	proved  time.Time // when the last of them was, or the registration
	key     []byte    // see dbsc.Key.Bytes
}

// The encoding: a version, flags, three numbers, the key.
const (
	version     = 1
	flagInForce = 1
	headBytes   = 2 + 3*8
)

func (b *binding) encode() string {
	raw := make([]byte, 0, headBytes+len(b.key))
	flags := byte(0)
	if b.inForce {
		flags = flagInForce
	}
	raw = append(raw, version, flags)
	raw = binary.BigEndian.AppendUint64(raw, b.login)
	raw = binary.BigEndian.AppendUint64(raw, b.proofs)
	raw = binary.BigEndian.AppendUint64(raw, uint64(b.proved.UnixMilli())) //nolint:gosec // after 1970
	return base64.RawStdEncoding.EncodeToString(append(raw, b.key...))
}

// bindingOf returns the binding of a session, nil for none. One that this version can't read is in
// force without a key, so nothing proves it: the session stays closed.
func bindingOf(rec *store.Record) *binding {
	text := gateway.Device(rec.Data)
	if text == "" {
		return nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) <= headBytes || raw[0] != version {
		return &binding{inForce: true}
	}
	return &binding{
		inForce: raw[1]&flagInForce != 0,
		login:   binary.BigEndian.Uint64(raw[2:]),
		proofs:  binary.BigEndian.Uint64(raw[10:]),
		proved:  time.UnixMilli(int64(binary.BigEndian.Uint64(raw[18:]))), //nolint:gosec // as it was encoded
		key:     raw[headBytes:],
	}
}
