package socket

import (
	"context"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/wire"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// Runtime has the resources that the connections of a process share.
type Runtime struct {
	clock   *clock.Clock
	group   *workers.Group
	pings   *workers.Pool // a ping takes 10 s if the client doesn't answer
	watches *inbox.Watchlist
	buffers sync.Pool // of *bytes.Buffer, for messages on their way in
}

// maxPings is how many connections wait for a pong at once.
const maxPings = 16384

// NewRuntime returns a Runtime whose connections use the clock, and the goroutines of the group.
func NewRuntime(clock *clock.Clock, group *workers.Group) *Runtime {
	return &Runtime{clock: clock, group: group, pings: group.Pool(maxPings), watches: inbox.NewWatchlist(clock)}
}

// Config is how the connections of a handler behave. A limit of 0 or less is none.
type Config struct {
	Subprotocols []string
	Compression  websocket.CompressionMode

	MaxMessageBytes   int64
	MessagesPerSecond float64
	MessageBurst      int           // see allowance.NewPace
	FramesPerSecond   float64       // pings, needless pongs and small fragments: see package wire
	WriteTimeout      time.Duration // of a message
	Heartbeat         time.Duration // silence after which a ping is sent
	FirstMessage      time.Duration // until the client has sent its first message
	IdleTimeout       time.Duration // without a message from the client
	MaxAge            time.Duration
}

// Acceptor accepts the connections of a handler.
type Acceptor struct {
	Config
	rt   *Runtime
	wire wire.Config
}

// frameBurst is how many seconds' worth of frames may come at once.
const frameBurst = 5

// NewAcceptor returns an Acceptor of connections that behave as cfg says.
func (rt *Runtime) NewAcceptor(cfg Config) *Acceptor {
	a := &Acceptor{Config: cfg, rt: rt, wire: wire.Config{Epoch: rt.clock.Time(0)}}
	if cfg.FramesPerSecond > 0 {
		a.wire.FramesPerSecond, a.wire.Burst = cfg.FramesPerSecond, max(1, frameBurst*cfg.FramesPerSecond)
	}
	if cfg.MaxMessageBytes <= 0 {
		a.MaxMessageBytes = -1 // as the library has it
	}
	return a
}

// Reason is why the Owner is to close a connection.
type Reason string

// The reasons.
const (
	TooManyMessages Reason = "too many messages"
	TooManyFrames   Reason = "too many control frames or fragments"
	Unexpected      Reason = "unexpected data message" // after CloseRead
	Silent          Reason = "no first message in time"
	Idle            Reason = "idle"
	TooOld          Reason = "connection has reached its age"
)

// Owner receives the events of a Conn, and closes it. Its methods must not block, except for
// Active.
type Owner interface {
	// Context ends when the connection is closed, or is being closed.
	Context() context.Context
	// Lost ends the context: the connection has ended, or is unusable.
	Lost(cause error)
	// Closing reports whether the Owner closes the connection, or has.
	Closing() bool
	// Refuse begins to close the connection.
	Refuse(why Reason)
	// Received is called for each message from the client, and Active after it, unless the message
	// exceeds a limit. After an error of either the message is dropped, and the Owner closes the
	// connection. Active may set Message.Quiet. It calls the application, under no lock.
	Received(bytes int) error
	Active(m *inbox.Message) error
	// TooLarge is called for a message that exceeds Config.MaxMessageBytes, which ends the connection.
	TooLarge()
	// Times returns when the connection was opened, and when the client was last active, on the
	// clock.
	Times() (opened, active time.Duration)
}
