package bridge

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/admission"
	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// New returns a Bridge over st. Nil options are all defaults; an option out of range is an error
// that names its field. The caller closes the store, after Shutdown.
func New(st store.Store, opts *Options) (*Bridge, error) {
	if st == nil {
		return nil, errors.New("bridge: New needs a store; livestore.New() makes one in memory")
	}
	s, err := cmp.Or(opts, &Options{}).withDefaults(st)
	if err != nil {
		return nil, err
	}
	b := &Bridge{
		opts:     s,
		logins:   logins.NewGate(),
		events:   newEvents(s.Logger),
		logKey:   logKey(s.Keys[0]),
		shutDone: make(chan struct{}),
	}
	b.clients = clientmap.New(max(0, s.MaxKnownSessions), func(id string) bool { return b.links.HasSession(id) })
	b.work = workers.New(func(value any) {
		b.panicked(context.Background(), "background task panicked", "run a background task: it panicked", "", value)
	})
	b.pools = pools{
		background: b.work.Pool(64),
		closes:     b.work.Pool(16384),
		remoteEnds: b.work.Pool(1024),
		activity:   b.work.Pool(64),
	}
	b.clock = clock.New()
	b.lines = newLogQueue(b)
	apps := st
	st = b.join(st)
	b.gateway = gateway.New(st, gateway.Config{
		TouchInterval: s.TouchInterval,
		MaxValueBytes: max(0, s.MaxValueBytes),
		StoreTimeout:  s.StoreTimeout,
		Committed:     b.committed,
		Ended:         b.ended,
		Reason:        reportedReason,
		Watched:       b.events.Active,
		Doubted: func(id string) {
			b.links.Suspect(id, time.Now())
			b.pools.background.Go(func() { b.recheckSession(id) })
		},
		Failed: b.storeFailed,
		Gate:   b.logins,
	})
	b.opener = newOpener(b)
	b.links = b.newRegistry()
	b.limits = b.newLimits()
	b.sockets = socket.NewRuntime(b.clock, b.work)
	b.sender = outbox.NewSender(b.clock, b.work)
	b.tickets = newTickets(b, apps)
	b.admit = admission.New(admission.Config{
		AtOnce: s.MaxHandshakes, PerSecond: s.HandshakesPerSecond, Burst: s.HandshakeBurst,
	})
	b.gorilla = b.newGorilla()
	switch {
	case s.AutoCleanup == Off:
	case b.gateway.CanSweep():
		b.StartAutoCleanup(s.AutoCleanup)
	default:
		s.Logger.Warn("expired sessions that aren't used again stay in the store, " +
			"which is neither a store.Sweeper nor a store.Lister: " +
			"implement one of them, or have the database remove what has expired and set Options.AutoCleanup to Off")
	}
	b.startPruning(s.pruneEvery())
	b.cluster.Start()
	return b, nil
}

// Shutdown closes every connection with CodeShutdown, waits for their handlers, and stops every
// goroutine of the Bridge: none is left when it returns nil. New handshakes are refused at once;
// the closes are spread over Options.DrainOver. The reason of each close tells the client when to
// come back, at a different time for each: "shutting down; retry after 1834 ms". Requests are still
// served: shut the http.Server down first, or at the same time if it waits for streams that are
// attached.
//
// If ctx ends first, Shutdown returns its cause; handlers that ignore the end of their context, and
// event callbacks that hang, are then still running. A further call waits for the first one and
// returns its result, or the cause of its own ctx if that ends before.
func (b *Bridge) Shutdown(ctx context.Context) error {
	if b.shutting.CompareAndSwap(false, true) {
		defer close(b.shutDone)
		b.shutErr = b.shutdown(ctx)
		return b.shutErr
	}
	select {
	case <-b.shutDone:
	case <-ctx.Done():
		select {
		case <-b.shutDone:
		default:
			return context.Cause(ctx)
		}
	}
	return b.shutErr
}

func (b *Bridge) shutdown(ctx context.Context) error {
	b.work.Stop()
	b.StopAutoCleanup()
	b.drain(ctx)
	err := b.work.Wait(ctx)
	if err == nil {
		b.clock.Close()
	} else { // the time limits of the tasks that are still running come from the clock
		go func() { // ends after them
			_ = b.work.Wait(context.Background())
			b.clock.Close()
		}()
	}
	err = errors.Join(err, b.work.Wait(ctx)) // for tasks that the clock has started meanwhile
	for _, l := range b.links.All() {        // whose handlers have not called Detach yet
		l.detach(codeClosedByPeer, "")
	}
	err = errors.Join(err, b.work.Wait(ctx)) // for handlers that are calling it
	err = errors.Join(err, b.cluster.Leave(ctx), b.work.Wait(ctx))
	b.events.Close()
	b.work.Go(b.events.Wait)
	return errors.Join(err, b.work.Wait(ctx))
}

// drain closes every connection, in batches over Options.DrainOver. When ctx is about to end it
// closes all that are left: each close waits a second for its peer.
func (b *Bridge) drain(ctx context.Context) {
	all := b.links.All() // in the order of a map: the tabs of a session are not all in one batch
	admission.Drain(ctx, all, zeroIfOff(b.opts.DrainOver), 2*closeGrace, func(batch []*Link) {
		for _, l := range batch {
			l.end(CodeShutdown, b.comeBack(len(batch)))
			if h := l.perConn.Load(); h != nil { // its handler may hang
				h.saver.Soon()
			}
		}
	})
}
