package admission

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

// Config has the limits of a Gate.
type Config struct {
	AtOnce    int     // handshakes under way; 0: no limit
	PerSecond float64 // 0 or less: no limit
	Burst     int     // see allowance.NewPace
}

// Gate admits no more handshakes than the process can serve.
type Gate struct {
	cfg     Config
	pace    *allowance.Pace
	running atomic.Int64
	refused atomic.Uint64

	mu    sync.Mutex
	since time.Time // when the overload began
	last  time.Time // when a client was last refused
}

// New returns a Gate.
func New(cfg Config) *Gate {
	return &Gate{cfg: cfg, pace: allowance.NewPace(cfg.PerSecond, cfg.Burst)}
}

// Limit is one of the limits of a Gate.
type Limit uint8

// The limits.
const (
	None      Limit = iota
	AtOnce          // Config.AtOnce
	PerSecond       // Config.PerSecond
)

// TryEnter returns None if a handshake is admitted, whose caller calls Leave when it has been
// answered. Otherwise it returns the limit that is reached, and counts the handshake as refused.
func (g *Gate) TryEnter() Limit {
	n := g.running.Add(1)
	reached := None
	switch {
	case g.cfg.AtOnce > 0 && n > int64(g.cfg.AtOnce):
		reached = AtOnce
	case !g.pace.Allow():
		reached = PerSecond
	}
	if reached != None {
		g.running.Add(-1)
		g.refused.Add(1)
	}
	return reached
}

// Leave ends what TryEnter has begun.
func (g *Gate) Leave() { g.running.Add(-1) }

// Refused returns how many handshakes were not admitted.
func (g *Gate) Refused() uint64 { return g.refused.Load() }

// A refused client is told to come back within a time as long as the overload so far, within these
// limits.
const (
	minRetrySpread = 4
	maxRetrySpread = 120
)

// An overload is over when no client has been refused for overloadEnds. By then the clients that
// were refused last have come back.
const overloadEnds = 2 * maxRetrySpread * time.Second

// RetryAfter returns after how many seconds a client that is refused should try again: at random,
// from a span that grows with the overload. The server chooses, because only it knows how many
// clients there are.
func (g *Gate) RetryAfter() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Sub(g.last) > overloadEnds {
		g.since = now
	}
	g.last = now
	spread := min(max(int(now.Sub(g.since)/time.Second), minRetrySpread), maxRetrySpread)
	return 1 + rand.IntN(spread)
}

// The clients of connections that are closed together are told to come back within a time of at
// least a millisecond for each client, within these limits.
const (
	minReturn = 2 * time.Second
	maxReturn = time.Minute
)

// ReturnAfter returns after which time the client of a connection that is closed together with so
// many others should come back: at random, at the rate that the Gate admits.
func (g *Gate) ReturnAfter(together int) time.Duration {
	perSecond := 1000.0
	if g.cfg.PerSecond > 0 {
		perSecond = g.cfg.PerSecond
	}
	span := min(max(time.Duration(float64(together)/perSecond*float64(time.Second)), minReturn), maxReturn)
	return time.Duration(1+rand.Int64N(span.Milliseconds())) * time.Millisecond
}
