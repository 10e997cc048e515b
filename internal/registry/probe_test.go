package registry_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
)

// probes has the contexts of connections, and counts what a probe does.
type probes struct {
	reads   bool         // whether a connection has to be read first
	watched atomic.Int32 // connections that were to be read

	mu   sync.Mutex
	ends map[*conn]context.CancelFunc // of the contexts that were asked for
	all  map[*conn]context.Context
}

func (p *probes) context(c *conn) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[c] == nil {
		p.all[c], p.ends[c] = context.WithCancel(context.Background())
	}
	return p.all[c]
}

// end ends the connection and its context.
func (p *probes) end(f *fixture, c *conn) {
	c.ended.Store(true)
	f.Remove(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[c]()
}

func (p *probes) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ends)
}

// probed is a fixture whose connections have contexts.
func probed(t *testing.T, limits registry.Limits, reads bool) (*fixture, *probes) {
	p := &probes{reads: reads, ends: make(map[*conn]context.CancelFunc), all: make(map[*conn]context.Context)}
	return newFixture(t, registry.Config[*conn]{
		Limits:  limits,
		Context: p.context,
		Watch:   func(*conn) bool { p.watched.Add(1); return p.reads },
		Yield:   func(*conn) {},
	}), p
}

func TestAConnectionBeyondALimitWaitsForTheEndOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := probed(t, registry.Limits{PerSession: 1}, true)
		old := f.add("a", 1)
		go func() {
			time.Sleep(500 * time.Millisecond)
			p.end(f, old)
		}()
		start := time.Now()
		_, err := f.AddOrProbe(t.Context(), f.make("a", 1), "a")
		require.NoError(t, err)
		require.Equal(t, 500*time.Millisecond, time.Since(start))
		require.EqualValues(t, 1, p.watched.Load())
	})
}

func TestAProbeEndsSoonerIfAllConnectionsAreBeingRead(t *testing.T) {
	for name, c := range map[string]struct {
		reads bool
		waits time.Duration
	}{"read now": {true, time.Second}, "read before": {false, 250 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, _ := probed(t, registry.Limits{PerSession: 1}, c.reads)
				f.add("a", 1)
				start := time.Now()
				_, err := f.AddOrProbe(t.Context(), f.make("a", 1), "a")
				require.ErrorIs(t, err, registry.ErrSessionFull)
				require.Equal(t, c.waits, time.Since(start))
			})
		})
	}
}

func TestAnIDIsFreeWhenTheEndOfItsConnectionIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := probed(t, registry.Limits{}, false)
		old := f.add("a", 1)
		again := f.make("a", 1)
		again.entry.ID = old.entry.ID
		go func() {
			time.Sleep(100 * time.Millisecond)
			f.Remove(old)
			time.Sleep(100 * time.Millisecond)
			f.Free(old)
		}()
		start := time.Now()
		_, err := f.AddOrProbe(t.Context(), again, "a")
		require.NoError(t, err)
		require.Equal(t, 200*time.Millisecond, time.Since(start))
		require.Zero(t, p.asked(), "the end of its context is not enough")
	})
}

func TestAnAddressIsFullAfterAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := probed(t, registry.Limits{PerAddr: 1}, true)
		old := f.add("a", 1)
		require.False(t, f.AddrStaysFull(t.Context(), "198.51.100.1"))
		require.True(t, f.AddrStaysFull(t.Context(), "192.0.2.1"))
		time.AfterFunc(time.Millisecond, func() {
			p.end(f, old)
		})
		require.False(t, f.AddrStaysFull(t.Context(), "192.0.2.1"))
	})
}
