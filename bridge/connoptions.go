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
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// ConnOptions configures connections. A zero field means its default; Off disables a limit.
type ConnOptions struct {
	// OnMissing is the policy for a handshake without a session. Default: AcceptMissing for
	// WebSocket, CloseMissing for PerConnection and Messages, whose functions need a session.
	OnMissing MissingPolicy
	// OnUnavailable is the policy for a handshake whose session can't be read, because the store
	// doesn't answer. Default: RefuseUnavailable.
	OnUnavailable UnavailablePolicy
	// MaxMessageBytes limits the size of a message from the client; a larger one closes the
	// connection with 1009. Default: 64 KiB.
	MaxMessageBytes int64
	// MessagesPerSecond limits the rate of the client's messages on one connection, after a burst of
	// MessageBurst; one beyond closes it with CodePolicy. Options.MessagesPerSession and
	// MessagesPerAddr limit those of several connections together. Defaults: no limit; a burst of one second.
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
	// FirstMessageTimeout closes the connection with CodePolicy if the client has not sent its first
	// message within that time: for a protocol that begins with one of the client's. A message that is
	// under way doesn't count. Default: never.
	FirstMessageTimeout time.Duration
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
	// otherwise it ends with the returned error. MessageFrom(ctx) is the message. Default: every error
	// ends it.
	OnMessageError func(ctx context.Context, c *Conn, err error) error

	// ID returns the application's ID for the connection, which CloseConn and listings use: at most
	// 100 letters, digits, "_" and "-". An invalid ID is answered with 400; the ID of an open
	// connection closes the newer one with CodePolicy. IDs of the application's are unique in one
	// process only: another node may have a connection with the same ID. Default: a UUID, as for "".
	ID func(r *http.Request) string

	// Name returns a name of the application's for the connection, which ConnInfo and ConnFilter
	// have: at most 100 bytes of UTF-8 without control characters; an invalid one is answered with
	// 400. It is called when the session has been opened: SessionIDFrom of the request's context
	// and Session work. Default: no name, as for "".
	//
	// OnNameInUse says what happens if an open connection of this process has the name; other
	// processes may have connections of the same name. With ReplaceName, a client that can choose
	// the name can close the connections that have it: derive it from the session's user, for
	// example. Default: ShareName.
	Name        func(r *http.Request) string
	OnNameInUse NamePolicy

	// CountsAsActivity says whether a message of the client is activity of its user, which restarts
	// the idle timeout of the session and of the connection, and moves ConnInfo.ActiveAt. It is not
	// for a poll of the time left, or a ping of the application's. A function of Messages that runs
	// for such a message and changes nothing is no activity either; one that changes the session is,
	// and so is WithSession in a handler. The handshake is activity, too: a page that reconnects again
	// and again keeps its session alive. It is called once for each message, before Read returns it
	// and perhaps while the handler runs, under no lock; it must be quick and not change
	// Message.Data. A panic closes the connection with CodeFailed. Default: every message is
	// activity.
	CountsAsActivity func(Message) bool

	// Subprotocols are those that the server supports, in order of preference. Default: none.
	Subprotocols []string
	// Compression is off by default: it costs memory for each connection, and leaks secrets that
	// are sent beside text of an attacker's choice (CRIME).
	Compression websocket.CompressionMode
}

// NamePolicy is what happens to a connection whose name an open connection of this process has. The
// policy of the connection that comes decides, whatever that of the other was.
type NamePolicy uint8

// The policies of OnNameInUse in ConnOptions, LinkOptions and Remote.
const (
	ShareName   = NamePolicy(registry.ShareName)   // both have it
	RefuseName  = NamePolicy(registry.RefuseName)  // the one that comes is closed with CodePolicy
	ReplaceName = NamePolicy(registry.ReplaceName) // the others are closed with CodePolicy
)

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

// UnavailablePolicy is what happens to a handshake while the store doesn't answer.
type UnavailablePolicy int

// The policies of ConnOptions.OnUnavailable.
const (
	// RefuseUnavailable: the handshake is answered with 503. A script sees only that it failed.
	RefuseUnavailable UnavailablePolicy = iota
	// CloseUnavailable: the connection is closed with CodeUnavailable and a reason once it is open,
	// which a script can see. The handler isn't called. Until the close, which takes a second at
	// most, it counts towards Options.MaxHandshakes.
	CloseUnavailable
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
	err := cmp.Or(
		ranges.Enum("ConnOptions.OnMissing", s.OnMissing, AcceptMissing, RefuseMissing),
		ranges.Enum("ConnOptions.OnNameInUse", s.OnNameInUse, ShareName, ReplaceName),
		ranges.Enum("ConnOptions.OnUnavailable", s.OnUnavailable, RefuseUnavailable, CloseUnavailable),
		ranges.Enum("ConnOptions.OnNotifyFull", s.OnNotifyFull, CloseSlow, DropNewest),
		ranges.Enum("ConnOptions.Compression", s.Compression,
			websocket.CompressionDisabled, websocket.CompressionNoContextTakeover),
		ranges.Rate("ConnOptions.MessagesPerSecond", s.MessagesPerSecond),
		ranges.Rate("ConnOptions.FramesPerSecond", s.FramesPerSecond),
		ranges.Fill("ConnOptions",
			ranges.OrOff("WriteTimeout", &s.WriteTimeout, 10*time.Second, 1),
			ranges.OrOff("Heartbeat", &s.Heartbeat, 30*time.Second, time.Second),
			ranges.OrOff("FirstMessageTimeout", &s.FirstMessageTimeout, Off, MinTimeout),
			ranges.OrOff("IdleTimeout", &s.IdleTimeout, Off, MinTimeout),
			ranges.OrOff("MaxAge", &s.MaxAge, Off, MinTimeout),
			ranges.OrOff("SaveEvery", &s.SaveEvery, 30*time.Second, 10*time.Millisecond),
		),
		ranges.FillLimit("ConnOptions.MessageBurst", &s.MessageBurst, 0),
		ranges.FillLimit("ConnOptions.MaxMessageBytes", &s.MaxMessageBytes, 64<<10),
	)
	switch {
	case err != nil:
		return s, err
	case s.NotifyQueue < 0:
		return s, badConn("NotifyQueue", "%d is negative", s.NotifyQueue)
	}
	s.Subprotocols = slices.Clone(s.Subprotocols)
	for i, name := range s.Subprotocols { // a token, as a cookie's name is (RFC 6455 §4.1)
		if (&http.Cookie{Name: name}).Valid() != nil {
			return s, badConn(fmt.Sprintf("Subprotocols[%d]", i), "%q is no name of a subprotocol", name)
		}
	}
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
		Heartbeat: o.Heartbeat, FirstMessage: o.FirstMessageTimeout, IdleTimeout: o.IdleTimeout, MaxAge: o.MaxAge,
	}
}

func invalidConnID(of string) error {
	return fmt.Errorf("%w: %s.ID has at most %d letters, digits, _ and -", ErrConnID, of, registry.MaxID)
}
