package bridge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// ConnOptions configures connections. A zero field means its default; Off disables a limit.
type ConnOptions struct {
	// OnMissing is the policy for a handshake without a session. Default: AcceptMissing for
	// WebSocket, CloseMissing for PerConnection and Messages, whose functions need a session.
	OnMissing MissingPolicy
	// MaxMessageBytes limits the size of a message from the client; a larger one closes the
	// connection with 1009. Default: 64 KiB.
	MaxMessageBytes int64
	// MessagesPerSecond limits the rate of the client's messages, after a burst of MessageBurst;
	// one beyond closes the connection with CodePolicy. Defaults: no limit; a burst of one second.
	MessagesPerSecond float64
	MessageBurst      int
	// FramesPerSecond limits the rate of frames without content: pings, pongs that answer no ping,
	// and fragments of less than 256 bytes, after a burst of five seconds. One beyond closes the
	// connection with CodePolicy. Default: 100, or MessagesPerSecond within 10 to 100.
	FramesPerSecond float64
	// WriteTimeout is how long one Write may take before the connection is cut. Default: 10 s.
	WriteTimeout time.Duration

	// Heartbeat is the silence after which the client is sent a ping, whether or not the handler
	// reads. If nothing comes back for 10 s the connection is cut. Default: 30 s.
	Heartbeat time.Duration
	// IdleTimeout closes the connection with CodeIdle after that long without a message from the
	// client; pongs don't count. Default: never.
	IdleTimeout time.Duration
	// MaxAge closes the connection with CodeIdle when it has been open that long. Default: never.
	MaxAge time.Duration

	// NotifyQueue is how many messages of Bridge.Notify may wait for the connection, OnNotifyFull
	// the policy for one more. Defaults: 256, CloseSlow.
	NotifyQueue  int
	OnNotifyFull OverflowPolicy

	// SaveEvery is the interval at which a PerConnection session is stored while the connection is
	// open. Default: 30 s. Off: only at its end.
	SaveEvery time.Duration
	// OnMessageError is called with an error of the function of Messages, whose changes are then
	// not stored, or with an error of storing them. If it returns nil the connection continues,
	// otherwise it ends with the returned error. Default: every error ends it.
	OnMessageError func(ctx context.Context, c *Conn, err error) error

	// ID returns the application's name for the connection, which CloseConn and listings use: 1 to
	// 100 letters, digits, "_" and "-". An invalid name is answered with 400; the name of an open
	// connection closes the newer one with CodePolicy. Default: a UUID.
	ID func(r *http.Request) string

	// Subprotocols are those that the server supports, in order of preference. Default: none.
	Subprotocols []string
	// Compression is off by default: it costs memory for each connection, and leaks secrets that
	// are sent beside text of an attacker's choice (CRIME).
	Compression websocket.CompressionMode
}

// MissingPolicy is what happens to a handshake without a session.
type MissingPolicy int

// The policies of ConnOptions.OnMissing.
const (
	// AcceptMissing: the connection is open, without a session: WithSession calls its onMissing.
	AcceptMissing MissingPolicy = iota + 1
	// CloseMissing: it is closed with CodeNoSession once it is open, which a script can see.
	CloseMissing
	// RefuseMissing: the handshake is answered with 401. A script sees only that it failed.
	RefuseMissing
)

// OverflowPolicy is what happens to a message for a connection whose queue is full.
type OverflowPolicy int8

// The policies of ConnOptions.OnNotifyFull.
const (
	CloseSlow  = OverflowPolicy(outbox.CloseQueue) // closed with CodePolicy: its client has missed a message
	DropOldest = OverflowPolicy(outbox.DropOldest) // the message that has waited for longest is dropped
	DropNewest = OverflowPolicy(outbox.DropNewest) // the new message is dropped
)

const defaultNotifyQueue = 256

// withDefaults returns a copy with all defaults, or an error for a field that is out of range.
func (o *ConnOptions) withDefaults(onMissing MissingPolicy) (ConnOptions, error) {
	s := *cmp.Or(o, new(ConnOptions))
	s.OnMissing = cmp.Or(s.OnMissing, onMissing)
	switch {
	case s.OnMissing < AcceptMissing || s.OnMissing > RefuseMissing:
		return s, badConn("OnMissing", "%d is not a MissingPolicy", s.OnMissing)
	case s.OnNotifyFull < CloseSlow || s.OnNotifyFull > DropNewest:
		return s, badConn("OnNotifyFull", "%d is not an OverflowPolicy", s.OnNotifyFull)
	case s.Compression < websocket.CompressionDisabled || s.Compression > websocket.CompressionNoContextTakeover:
		return s, badConn("Compression", "%d is not a websocket.CompressionMode", s.Compression)
	case s.MessagesPerSecond != Off && !(s.MessagesPerSecond >= 0 && s.MessagesPerSecond <= 1e9):
		return s, badConn("MessagesPerSecond", "%v is out of range: 0 to 1e9; 0 or Off (%d) means no limit",
			s.MessagesPerSecond, Off)
	case s.FramesPerSecond != Off && !(s.FramesPerSecond >= 0 && s.FramesPerSecond <= 1e9):
		return s, badConn("FramesPerSecond", "%v is out of range: 0 to 1e9; Off (%d) means no limit", s.FramesPerSecond, Off)
	case s.NotifyQueue < 0:
		return s, badConn("NotifyQueue", "%d is negative", s.NotifyQueue)
	case s.MaxMessageBytes < Off:
		return s, badConn("MaxMessageBytes", "%d is negative; Off (%d) means no limit", s.MaxMessageBytes, Off)
	case s.MessageBurst < Off:
		return s, badConn("MessageBurst", "%d is negative; Off (%d) means no limit", s.MessageBurst, Off)
	}
	for _, f := range []struct {
		name      string
		value     *time.Duration
		zero, min time.Duration
	}{
		{"WriteTimeout", &s.WriteTimeout, 10 * time.Second, 1},
		{"Heartbeat", &s.Heartbeat, 30 * time.Second, time.Second},
		{"IdleTimeout", &s.IdleTimeout, Off, time.Millisecond},
		{"MaxAge", &s.MaxAge, Off, time.Millisecond},
		{"SaveEvery", &s.SaveEvery, 30 * time.Second, 10 * time.Millisecond},
	} {
		if v := *f.value; v != 0 && v != Off && (v < f.min || v > maxTimeout) {
			return s, badConn(f.name, "%v is out of range: %v to %v, or Off (%d), which means never",
				v, f.min, maxTimeout, Off)
		}
		*f.value = cmp.Or(*f.value, f.zero)
	}
	s.Subprotocols = slices.Clone(s.Subprotocols)
	for i, name := range s.Subprotocols { // a token, as a cookie's name is (RFC 6455 §4.1)
		if (&http.Cookie{Name: name}).Valid() != nil {
			return s, badConn(fmt.Sprintf("Subprotocols[%d]", i), "%q is no name of a subprotocol", name)
		}
	}
	s.MaxMessageBytes = cmp.Or(s.MaxMessageBytes, 64<<10)
	s.NotifyQueue = cmp.Or(s.NotifyQueue, defaultNotifyQueue)
	if s.FramesPerSecond == 0 {
		s.FramesPerSecond = 100
		if s.MessagesPerSecond > 0 {
			s.FramesPerSecond = min(max(s.MessagesPerSecond, 10), 100)
		}
	}
	return s, nil
}

func badConn(field, format string, args ...any) error {
	return fmt.Errorf("bridge: ConnOptions.%s: %s", field, fmt.Sprintf(format, args...))
}

// socket returns the options of the network connection.
func (o *ConnOptions) socket() socket.Config {
	return socket.Config{
		Subprotocols: append(slices.Clip(o.Subprotocols), Subprotocol), Compression: o.Compression,
		MaxMessageBytes: o.MaxMessageBytes, MessagesPerSecond: o.MessagesPerSecond, MessageBurst: o.MessageBurst,
		FramesPerSecond: o.FramesPerSecond, WriteTimeout: o.WriteTimeout,
		Heartbeat: o.Heartbeat, IdleTimeout: o.IdleTimeout, MaxAge: o.MaxAge,
	}
}

// validConnID reports whether ConnOptions.ID may return id.
func validConnID(id string) bool {
	return id != "" && len(id) <= 100 && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-'
	})
}
