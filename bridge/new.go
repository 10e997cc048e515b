package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/admission"
	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/dbsc"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/internal/imports"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/pubsub"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
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
		ends:     ends.New(s.RememberEnds, rememberedEnds),
		events:   newEvents(s.Logger),
		shutDone: make(chan struct{}),
		records:  s.records(),
	}
	b.timeouts.Store(&timeouts{s.IdleTimeout, s.Lifetime})
	b.clients = clientmap.New(max(0, s.MaxKnownSessions), func(id string) bool { return b.links.HasSession(id) })
	b.work = workers.New(func(value any) {
		b.report.Panicked(context.Background(), "background task panicked", "run a background task: it panicked", "", value)
	})
	b.pools = pools{
		background: b.work.Pool(64),
		closes:     b.work.Pool(16384),
		remoteEnds: b.work.Pool(1024),
		activity:   b.work.Pool(64),
	}
	b.clock = clock.New()
	b.report = reporting.New(reporting.Config{
		Logger:   s.Logger,
		Audit:    s.Audit,
		Key:      credentials.DeriveKey(s.Keys[0], "sessionbridge log ids"),
		Go:       b.work.Go,
		Emit:     func(f reporting.Failure) { b.events.Emit(Failure(f)) },
		Patience: closeGrace,
	})
	apps := st
	st = b.join(st)
	b.gateway = gateway.New(st, gateway.Config{
		TouchInterval: s.TouchInterval,
		MaxValueBytes: max(0, s.MaxValueBytes),
		StoreTimeout:  s.StoreTimeout,
		KeepLifetime:  s.KeepLifetimeAtLogin,
		Committed:     b.committed,
		Ended:         b.ended,
		Reason:        reportedReason,
		Watched:       b.events.Active,
		Doubted:       func(id string) { b.tracker.Doubt(id) },
		Failed:        b.report.StoreFailed,
		Gate:          b.logins,
	})
	codec := credentials.NewCodec(s.credentials())
	b.devices = newDevices(b, codec)
	b.opener = newOpener(b, codec)
	b.presence = b.newPresence()
	b.links = b.newRegistry()
	b.tracker = b.newTracker()
	b.limits = b.newLimits()
	b.calls = b.newCalls()
	b.activity = b.newActivity()
	b.sockets = socket.NewRuntime(b.clock, b.work)
	b.sender = outbox.NewSender(b.clock, b.work)
	b.newKept(st)
	b.tickets = newTickets(b, apps)
	if s.Import != nil {
		spaces, _ := store.As[store.Namespacer](apps) // checkStore has seen that it is one
		b.imports = imports.New(spaces, s.StoreTimeout, b.report.StoreFailed)
	}
	b.admit = admission.New(admission.Config{
		AtOnce: s.MaxHandshakes, PerSecond: s.HandshakesPerSecond, Burst: s.HandshakeBurst,
	})
	b.rates = newRateLimits(&s.Options)
	b.reclaim = b.newReclaiming(apps)
	b.cleanup = b.periodic()
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

// join makes the Bridge a node if the store supports nodes, and returns the store to use.
func (b *Bridge) join(st store.Store) store.Store {
	w, ok := store.As[store.Watcher](st)
	if !ok {
		return st
	}
	b.cluster = cluster.Join(w, cluster.Config{
		StoreTimeout: b.opts.StoreTimeout,
		Workers:      b.work,
		Clock:        b.clock,
		Changed: func(ch store.Change) {
			if ch.Kind != store.ChangeClient || !b.kept.Announced(ch.ClientID) {
				b.tracker.ChangedElsewhere(ch)
			}
		},
		Asked: func(q *cluster.Question) { b.calls.Answer(q) },
		Subscribed: func(t cluster.Topic) {
			if !b.kept.Announced(t.ClientID) {
				b.tracker.Subscribed(t)
			}
		},
		Resync: func(superseded func() bool) {
			b.kept.PokeAll()
			b.tracker.Resync(superseded)
		},
		Suspect: func(since time.Time) { b.links.SuspectAll(since) },
		GiveUp:  func() { b.tracker.GiveUp() },
		Used:    b.clients.ReadsOfClient,
		Failed:  b.report.StoreFailed,
	})
	return b.cluster.Store()
}

// newDevices returns what binds sessions to devices; nil without Options.DeviceBound.
func newDevices(b *Bridge, codec *credentials.Codec) *devicebound.Devices {
	o := b.opts.DeviceBound
	if o == nil {
		return nil
	}
	algorithms := []dbsc.Algorithm{dbsc.ES256}
	if o.RS256 {
		algorithms = append(algorithms, dbsc.RS256)
	}
	return devicebound.New(devicebound.Config{
		Gateway:    b.gateway,
		Keys:       b.opts.Keys,
		Path:       o.Path,
		Cookie:     codec.DeviceCookie(),
		Life:       o.Life,
		Algorithms: algorithms,
		Tag:        &origin{via: ViaHTTP},
		Open: func(r *http.Request) (rec store.Record, err error) {
			s, err := b.Peek(r)
			if err == nil {
				rec = s.record()
			}
			return rec, err
		},
		InForce: func(rec *store.Record) { b.deviceInForce(rec) },
		Refused: b.deviceRefused,
	})
}

// deviceInForce follows the binding of a session to its device.
func (b *Bridge) deviceInForce(rec *store.Record) {
	b.cluster.Announce(rec.ClientID, rec.ID)
	b.report.Audit(context.Background(), slog.LevelInfo, "device bound", reporting.Subject{
		SessionID: rec.ID, ClientID: rec.ClientID, UserID: rec.UserID, Via: string(ViaHTTP),
	})
}

// deviceRefused follows a request that should prove a device and doesn't.
func (b *Bridge) deviceRefused(r *http.Request, sessionID, reason string) {
	b.report.AuditRefusal(r.Context(), slog.LevelInfo, "device refused", "", reporting.Subject{
		SessionID: sessionID, Addr: b.records.Addr(b.opts.site.Addr(r)), Via: string(ViaHTTP),
	}, slog.String("reason", reason))
}

// newOpener returns the Opener, which decides which credentials open which sessions.
func newOpener(b *Bridge, codec *credentials.Codec) *opening.Opener {
	return opening.New(opening.Config{
		Gateway:    b.gateway,
		Codec:      codec,
		Grace:      b.opts.grace(),
		Successors: credentials.NewSuccessors(b.opts.Keys),
		Devices:    b.devices,
		Strict:     b.opts.StrictBinding,
		Nodes:      b.cluster != nil,
		SessionOf:  b.clients.SessionOf,
		ClientOf:   b.clients.ClientOf,
		Overtakes:  logins.NewOvertakes().Counts,
		Attach: func(ctx context.Context, rec *store.Record, direct bool) error {
			via := ViaHTTP
			if direct {
				via = ViaAPI
			}
			return b.tracker.Attach(ctx, rec, string(via))
		},
		Missing:    func(ctx context.Context, id string) { b.tracker.Missing(ctx, id, nil) },
		Mismatched: b.mismatched,

		Unconfirmed: func(ctx context.Context, id string, err error) {
			b.report.StoreFailed(ctx, "bind a session to its device", id, err)
		},
	})
}

// newLimits returns the limits on the sessions of a user and of a client.
func (b *Bridge) newLimits() *logins.Limits {
	return logins.NewLimits(logins.Config{
		Gateway:    b.gateway,
		PerUser:    b.opts.MaxSessionsPerUser,
		Refuse:     b.opts.OnTooManySessions == RefuseLogin,
		PerClient:  b.opts.MaxSessionsPerClient,
		HasConns:   b.links.HasSession,
		CountConns: b.links.CountOfClient,
		Evicted:    func(tag any) any { return &origin{via: tag.(*origin).via, end: &end{reason: ReasonEvicted}} },
		Failed: func(ctx context.Context, doing string, err error) {
			b.report.Failed(ctx, slog.LevelError, doing, "", err)
		},
	})
}

func (b *Bridge) newActivity() *activity.Activity {
	return activity.New(activity.Config{
		Gateway:       b.gateway,
		TouchInterval: b.opts.TouchInterval,
		StoreTimeout:  b.opts.StoreTimeout,
		Since: func(since time.Time, each func(string, time.Time)) {
			b.clients.ActiveSince(since, each)
			b.links.ActiveSince(since, each)
		},
		Conns:   b.links.Sessions,
		ConnsOf: b.links.CountOfSession,
		Ask:     b.calls.Counts,
	})
}

// newTickets returns the tickets in the store, whose expired ones are removed in the background.
func newTickets(b *Bridge, st store.Store) *tickets.Tickets {
	return tickets.New(st, tickets.Config{
		Issuer:       b.opts.Name,
		Lifetime:     b.opts.TicketLifetime,
		StoreTimeout: b.opts.StoreTimeout,
		Clock:        b.clock,
		Go:           b.pools.background.Go,
		Failed: func(err error) {
			b.report.Aside(context.Background(), slog.LevelWarn, "expired tickets could not be removed", slog.Any("error", err))
		},
	})
}

func (b *Bridge) newGorilla() *gorillastore.Store {
	o := b.opts
	return gorillastore.New(gorillastore.Config{
		Name: o.GorillaName,
		Options: sessions.Options{
			Path: o.Path, Domain: o.Domain, HttpOnly: true, SameSite: o.SameSite, Secure: o.Secure == SecureAlways,
			Partitioned: o.Partitioned,
		},
		Lifetime:        func() time.Duration { return zeroIfOff(b.timeouts.Load().lifetime) },
		NeverSecure:     o.Secure == SecureNever,
		EndsWithBrowser: o.Cookie == CookieBrowserSession,
		MaxAge:          credentials.MaxAge,
		MaxLifetime:     maxTimeout,
		Logger:          o.Logger,
		Session: func(r *http.Request) (gorillastore.Session, *gorillastore.Reads, error) {
			s, err := b.Session(r)
			if err != nil {
				return nil, nil, err
			}
			rq, err := b.requestFor(r)
			if err != nil {
				return nil, nil, err
			}
			rq.mu.Lock()
			defer rq.mu.Unlock()
			if rq.gorilla == nil {
				rq.gorilla = new(gorillastore.Reads)
			}
			return gorillaSession{s}, rq.gorilla, nil
		},
	})
}

// newEvents returns the hub of a Bridge's events. A panic of a callback is only logged: a Failure
// could call the same callback again.
func newEvents(logger *slog.Logger) *pubsub.Hub[Event] {
	return pubsub.New(pubsub.Config[Event]{
		Missed:   func(events int) Event { return Missed{events} },
		Confined: func(ev Event) bool { _, confined := ev.(CredentialRejected); return confined },
		Panicked: func(ev Event, value any) {
			reporting.LogPanic(context.Background(), logger, "event callback panicked", value, string(debug.Stack()),
				slog.String("event", fmt.Sprintf("%T", ev)))
		},
		Exited: func() { logger.Error("event callback has ended its goroutine: another one goes on") },
	})
}

// SetTimeouts changes Options.IdleTimeout and Lifetime for the sessions that begin from now on in
// this process: 0 keeps a timeout, Off removes the limit. Sessions that exist keep theirs, and
// AutoCleanup its interval. An error names a value that is out of range, MinTimeout to 100 years;
// then nothing is changed. Programs on other nodes have to call it as well.
func (b *Bridge) SetTimeouts(idle, lifetime time.Duration) error {
	for _, t := range []struct {
		name  string
		value time.Duration
	}{{"idle", idle}, {"lifetime", lifetime}} {
		if t.value == 0 {
			continue
		}
		if err := ranges.Check("SetTimeouts: "+t.name, t.value, MinTimeout, true); err != nil {
			return err
		}
	}
	for {
		old := b.timeouts.Load()
		if b.timeouts.CompareAndSwap(old, &timeouts{cmp.Or(idle, old.idle), cmp.Or(lifetime, old.lifetime)}) {
			return nil
		}
	}
}

// Options returns the options that are in force, with the defaults filled in, and the timeouts of
// the last SetTimeouts. TouchInterval is that of sessions with this IdleTimeout. Keys is nil, so
// that the result contains no secret. It is a copy.
func (b *Bridge) Options() Options {
	o, t := b.opts.Options, b.timeouts.Load()
	o.Keys, o.IdleTimeout, o.Lifetime = nil, t.idle, t.lifetime
	if t.idle != Off {
		o.TouchInterval = min(o.TouchInterval, t.idle/10)
	}
	if o.DeviceBound != nil {
		device := *o.DeviceBound
		o.DeviceBound = &device
	}
	o.ClearSiteData = slices.Clone(o.ClearSiteData)
	o.OriginPatterns, o.TrustedProxies = slices.Clone(o.OriginPatterns), slices.Clone(o.TrustedProxies)
	return o
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
	b.reclaim.Stop()
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
	err = both(err, b.work.Wait(ctx)) // for tasks that the clock has started meanwhile
	for _, l := range b.links.All() { // whose handlers have not called Detach yet
		l.detach(codeClosedByPeer, "")
	}
	err = both(err, b.work.Wait(ctx)) // for handlers that are calling it
	err = both(err, b.cluster.Leave(ctx))
	err = both(err, b.work.Wait(ctx))
	b.events.Close()
	b.work.Go(b.events.Wait)
	return both(err, b.work.Wait(ctx))
}

// both joins two errors, unless the second has no cause that the first doesn't have.
func both(err, further error) error {
	if err == nil || further == nil || errors.Is(err, further) || errors.Is(further, err) {
		return cmp.Or(err, further)
	}
	return errors.Join(err, further)
}
