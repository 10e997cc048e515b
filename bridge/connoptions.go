package bridge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// ConnOptions is how a connection behaves. A zero field means its default; Off switches a limit
// off.
type ConnOptions struct {
	// OnMissing says what becomes of a handshake without a session. Default: AcceptMissing for
	// WebSocket, CloseMissing for PerConnection and Messages, whose functions want a session.
	OnMissing MissingPolicy
	// MaxMessageBytes limits a message from the client; one that is larger closes the connection
	// with 1009. Default: 64 KiB.
	MaxMessageBytes int64
	// MessagesPerSecond limits how fast the client may send, after a burst of MessageBurst; one
	// message beyond closes the connection with CodePolicy. Defaults: no limit; a burst of a
	// second's worth.
	MessagesPerSecond float64
	MessageBurst      int
	// FramesPerSecond limits how fast the client may send frames that bring nothing: pings, pongs
	// that answer no ping, and fragments of less than 256 bytes, after a burst of five seconds'
	// worth; one beyond closes the connection with CodePolicy. Default: 100; with MessagesPerSecond
	// the same as that, but 10 at least and 100 at most.
	FramesPerSecond float64
	// WriteTimeout is for how long one Write may take before the connection is cut. Default: 10 s.
	WriteTimeout time.Duration

	// Heartbeat is after how long a silence the client is sent a ping; if nothing comes back for 10
	// s the connection is cut. That holds whether or not the handler reads: see Conn.Read. Default:
	// 30 s.
	Heartbeat time.Duration
	// IdleTimeout closes the connection with CodeIdle when no message has come from the client for
	// that long; pongs are none. Default: never.
	IdleTimeout time.Duration
	// MaxAge closes the connection with CodeIdle when it has been open for that long. Default:
	// never.
	MaxAge time.Duration

	// NotifyQueue is how many messages of Bridge.Notify may wait for the connection, OnNotifyFull
	// what becomes of one more: a burst that is larger is more than even a fast connection can
	// take. Defaults: 256, CloseSlow.
	NotifyQueue  int
	OnNotifyFull OverflowPolicy

	// SaveEvery is how often a PerConnection session is stored while the connection is open.
	// Default: 30 s. Off: only at its end.
	SaveEvery time.Duration
	// OnMessageError is told of an error of the function that Messages was given, of which nothing
	// has been stored, or of storing what it has changed. If it returns nil the connection goes on;
	// what it returns otherwise ends it. Default: every error ends it.
	OnMessageError func(ctx context.Context, c *Conn, err error) error

	// ID gives the connection the application's name for it, by which CloseConn and listings know
	// it: 1 to 100 letters, digits, "_" and "-". Otherwise the handshake is answered with 400, and
	// the name of one that is open closes the newer one with CodePolicy. Default: a UUID.
	ID func(r *http.Request) string

	// Subprotocols are those that the server speaks, the best first. Default: none.
	Subprotocols []string
	// Compression is off by default: it costs memory for each connection, and secrets beside chosen
	// text leak through it (CRIME).
	Compression websocket.CompressionMode
}

// MissingPolicy says what becomes of a handshake without a session.
type MissingPolicy int

// The policies of ConnOptions.OnMissing.
const (
	// AcceptMissing: the connection is open, without a session: WithSession calls its onMissing.
	AcceptMissing MissingPolicy = iota + 1
	// CloseMissing: it is closed with CodeNoSession as soon as it is open, which a browser's script
	// can see.
	CloseMissing
	// RefuseMissing: the handshake is answered with 401. A browser's script sees only that it
	// failed.
	RefuseMissing
)

// OverflowPolicy says what becomes of a message for a connection that has as many waiting as it
// may.
type OverflowPolicy int8

// The policies of ConnOptions.OnNotifyFull.
const (
	CloseSlow  OverflowPolicy = iota // the connection is closed with CodePolicy: its client has missed something
	DropOldest                       // the one that has waited for longest is dropped
	DropNewest                       // the one that came last is
)

// The limits of the default of ConnOptions.FramesPerSecond.
const (
	minFrames = 10
	maxFrames = 100
)

// socket returns the options of the network connection.
func (o *ConnOptions) socket() socket.Config {
	return socket.Config{
		Subprotocols: append(slices.Clip(o.Subprotocols), Subprotocol), Compression: o.Compression,
		MaxMessageBytes: o.MaxMessageBytes, MessagesPerSecond: o.MessagesPerSecond, MessageBurst: o.MessageBurst,
		FramesPerSecond: o.FramesPerSecond, WriteTimeout: o.WriteTimeout,
		Heartbeat: o.Heartbeat, IdleTimeout: o.IdleTimeout, MaxAge: o.MaxAge,
	}
}

func (o *ConnOptions) settle(onMissing MissingPolicy) (ConnOptions, error) {
	var s ConnOptions
	if o != nil {
		s = *o
	}
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
	}
	for _, f := range []struct {
		name  string
		value int64
	}{{"MaxMessageBytes", s.MaxMessageBytes}, {"MessageBurst", int64(s.MessageBurst)}} {
		if f.value < Off {
			return s, badConn(f.name, "%d is negative; Off (%d) means no limit", f.value, Off)
		}
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
		least time.Duration
	}{
		{"WriteTimeout", &s.WriteTimeout, 10 * time.Second, 1},
		{"Heartbeat", &s.Heartbeat, 30 * time.Second, time.Second},
		{"IdleTimeout", &s.IdleTimeout, Off, time.Millisecond},
		{"MaxAge", &s.MaxAge, Off, time.Millisecond},
		{"SaveEvery", &s.SaveEvery, 30 * time.Second, 10 * time.Millisecond},
	} {
		if v := *f.value; v != 0 && v != Off && (v < f.least || v > maxTimeout) {
			return s, badConn(f.name, "%v is out of range: %v to %v, or Off (%d), which means never",
				v, f.least, maxTimeout, Off)
		}
		*f.value = cmp.Or(*f.value, f.zero)
	}
	s.Subprotocols = slices.Clone(s.Subprotocols)
	for i, name := range s.Subprotocols { // a token, as the name of a cookie is (RFC 6455 §4.1)
		if (&http.Cookie{Name: name}).Valid() != nil {
			return s, badConn(fmt.Sprintf("Subprotocols[%d]", i), "%q is no name of a subprotocol", name)
		}
	}
	s.MaxMessageBytes = cmp.Or(s.MaxMessageBytes, 64<<10)
	s.NotifyQueue = cmp.Or(s.NotifyQueue, defaultNotifyQueue)
	if s.FramesPerSecond == 0 {
		s.FramesPerSecond = maxFrames
		if s.MessagesPerSecond > 0 {
			s.FramesPerSecond = min(max(s.MessagesPerSecond, minFrames), maxFrames)
		}
	}
	return s, nil
}

// validConnID reports whether an application may name a connection so.
func validConnID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= 100
}

func badConn(field, format string, args ...any) error {
	return fmt.Errorf("bridge: ConnOptions.%s: %s", field, fmt.Sprintf(format, args...))
}

const defaultNotifyQueue = 256

// queue returns the policy as the queue has it.
func (p OverflowPolicy) queue() outbox.Overflow {
	switch p {
	case DropOldest:
		return outbox.DropOldest
	case DropNewest:
		return outbox.DropNewest
	case CloseSlow:
	}
	return outbox.CloseQueue
}
