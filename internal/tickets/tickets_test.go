package tickets_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const lifetime = 30 * time.Second

// config returns a Config for a test, whose clock and goroutines end with it.
func config(t testing.TB) tickets.Config {
	c := clock.New()
	var running sync.WaitGroup
	t.Cleanup(func() { c.Close(); running.Wait() })
	return tickets.Config{
		Issuer: "sid", Lifetime: lifetime, StoreTimeout: time.Second,
		Clock: c, Go: running.Go, Failed: func(err error) { t.Errorf("a removal failed: %v", err) },
	}
}

// Stores with a place for tickets, and without one.
type (
	plain  struct{ store.Store }
	lister struct {
		store.Store
		store.Lister
	}
	listing struct{ *livestore.Store }
)

func (l listing) App(name string) store.Store {
	app := l.Store.App(name).(*livestore.Store)
	return lister{app, app}
}

var stores = map[string]func() store.Store{
	"a store that sweeps":        func() store.Store { return livestore.New() },
	"a store that only lists":    func() store.Store { return listing{livestore.New()} },
	"a store without namespaces": func() store.Store { return plain{livestore.New()} },
}

var login = tickets.Ticket{Kind: tickets.Login, SessionID: "session", ClientID: "client", Generation: 7, UserID: "ada"}

func all(*tickets.Ticket) bool { return true }

func TestTicketIsRedeemedOnce(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			ts := tickets.New(open(), config(t))
			text, err := ts.Issue(t.Context(), login)
			require.NoError(t, err)
			require.Len(t, text, 43)
			another, err := ts.Issue(t.Context(), login)
			require.NoError(t, err)
			require.NotEqual(t, text, another)

			want := login
			want.Issuer = "sid"
			var redeemed atomic.Int32
			var running sync.WaitGroup
			for range 16 {
				running.Go(func() {
					got, err := ts.Redeem(t.Context(), text, tickets.Login, all)
					switch {
					case err == nil && *got == want:
						redeemed.Add(1)
					case !errors.Is(err, tickets.ErrInvalid):
						t.Errorf("%v, %v", got, err)
					}
				})
			}
			running.Wait()
			require.EqualValues(t, 1, redeemed.Load())
			_, err = ts.Redeem(t.Context(), another, tickets.Login, all)
			require.NoError(t, err, "tickets are independent")
		})
	}
}

// A ticket that is refused isn't redeemed: its owner can still use it.
func TestRefusedTicketStaysValid(t *testing.T) {
	st, cfg := livestore.New(), config(t)
	ts := tickets.New(st, cfg)
	text, err := ts.Issue(t.Context(), login)
	require.NoError(t, err)
	_, err = ts.Redeem(t.Context(), text, tickets.Login, func(got *tickets.Ticket) bool {
		require.Equal(t, "ada", got.UserID)
		return false
	})
	require.ErrorIs(t, err, tickets.ErrInvalid)
	_, err = ts.Redeem(t.Context(), text, tickets.Handshake, all)
	require.ErrorIs(t, err, tickets.ErrInvalid, "it has another purpose")
	cfg.Issuer = "app"
	_, err = tickets.New(st, cfg).Redeem(t.Context(), text, tickets.Login, all)
	require.ErrorIs(t, err, tickets.ErrInvalid, "another user of the store")
	last := text[:42] + string(text[42]^1)
	first := string(text[0]^1) + text[1:]
	for _, spoiled := range []string{
		"", text[:42], text + "A", text + "=", last, first, strings.ToLower(text), strings.Repeat("A", 43), "\x00",
	} {
		_, err = ts.Redeem(t.Context(), spoiled, tickets.Login, all)
		require.ErrorIs(t, err, tickets.ErrInvalid, spoiled)
	}
	_, err = ts.Redeem(t.Context(), text, tickets.Login, all)
	require.NoError(t, err)
}

func TestTicketOfAnotherNodeIsRedeemed(t *testing.T) {
	st := livestore.New()
	one, two := tickets.New(st, config(t)), tickets.New(st, config(t))
	text, err := one.Issue(t.Context(), tickets.Ticket{Kind: tickets.Handshake, SessionID: "session"})
	require.NoError(t, err)
	got, err := two.Redeem(t.Context(), text, tickets.Handshake, all)
	require.NoError(t, err)
	require.Equal(t, "session", got.SessionID)
	_, err = one.Redeem(t.Context(), text, tickets.Handshake, all)
	require.ErrorIs(t, err, tickets.ErrInvalid)
	require.Zero(t, count(t, st), "a ticket is no session")
}

func count(t *testing.T, st store.Lister) (n int) {
	for _, err := range st.List(t.Context()) {
		require.NoError(t, err)
		n++
	}
	return n
}

func TestExpiredTicketsAreInvalidAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, cfg := livestore.New(), config(t)
		kept := st.App("sessionbridge.tickets").(*livestore.Store)
		ts := tickets.New(st, cfg)
		first, err := ts.Issue(t.Context(), login)
		require.NoError(t, err)
		for range 300 { // more than one batch
			_, err := ts.Issue(t.Context(), login)
			require.NoError(t, err)
		}
		require.Equal(t, 1, cfg.Clock.Len(), "one removal is planned, not one for each ticket")
		time.Sleep(lifetime / 2)
		last, err := ts.Issue(t.Context(), login)
		require.NoError(t, err)
		require.NoError(t, ts.Sweep(t.Context()))
		require.Equal(t, 302, count(t, kept))

		time.Sleep(lifetime / 2)
		synctest.Wait()
		require.Equal(t, 1, count(t, kept))
		_, err = ts.Redeem(t.Context(), first, tickets.Login, all)
		require.ErrorIs(t, err, tickets.ErrInvalid)
		require.Equal(t, 1, cfg.Clock.Len(), "one for the last ticket")
		_, err = ts.Redeem(t.Context(), last, tickets.Login, all)
		require.NoError(t, err)
		time.Sleep(lifetime)
		synctest.Wait()
		require.Zero(t, cfg.Clock.Len(), "nothing is planned without tickets")
	})
}

// A store that can only list is not read for each ticket, but by Sweep.
func TestListedTicketsAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, cfg := livestore.New(), config(t)
		kept := st.App("sessionbridge.tickets").(*livestore.Store)
		ts := tickets.New(listing{st}, cfg)
		old, err := ts.Issue(t.Context(), login)
		require.NoError(t, err)
		time.Sleep(lifetime / 2)
		fresh, err := ts.Issue(t.Context(), login)
		require.NoError(t, err)
		time.Sleep(lifetime / 2)
		synctest.Wait()
		require.Zero(t, cfg.Clock.Len())
		require.Equal(t, 2, count(t, kept))
		_, err = ts.Redeem(t.Context(), old, tickets.Login, all)
		require.ErrorIs(t, err, tickets.ErrInvalid)
		require.NoError(t, ts.Sweep(t.Context()))
		require.Equal(t, 1, count(t, kept))
		_, err = ts.Redeem(t.Context(), fresh, tickets.Login, all)
		require.NoError(t, err)
	})
}

// failing is a store whose operations fail while err is set, or answer with the record of other.
type failing struct {
	*livestore.Store
	other *store.Record

	mu  sync.Mutex // the clock's goroutine sweeps
	err error
}

func (f *failing) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *failing) App(string) store.Store { return f }

func (f *failing) Get(ctx context.Context, id string) (store.Record, error) {
	if err := f.failure(); f.other != nil || err != nil {
		return value(f.other), err
	}
	return f.Store.Get(ctx, id)
}

func (f *failing) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := f.failure(); err != nil {
		return 0, err
	}
	return f.Store.Set(ctx, rec)
}

func (f *failing) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return f.Store.Sweep(ctx, now, n)
}

func value(rec *store.Record) store.Record {
	if rec == nil {
		return store.Record{}
	}
	return *rec
}

func TestFailuresOfTheStoreAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, cfg, down := &failing{Store: livestore.New()}, config(t), errors.New("down")
		var failures atomic.Int32
		cfg.Failed = func(err error) {
			require.ErrorIs(t, err, down)
			failures.Add(1)
		}
		ts := tickets.New(st, cfg)
		text, err := ts.Issue(t.Context(), login)
		require.NoError(t, err)

		st.fail(down)
		_, issueErr := ts.Issue(t.Context(), login)
		_, redeemErr := ts.Redeem(t.Context(), text, tickets.Login, all)
		sweepErr := ts.Sweep(t.Context())
		for doing, err := range map[string]error{
			"store a ticket": issueErr, "load a ticket": redeemErr, "sweep tickets": sweepErr,
		} {
			require.ErrorIs(t, err, gateway.ErrUnavailable, doing)
			require.ErrorIs(t, err, down, doing)
			require.ErrorContains(t, err, doing)
			require.NotContains(t, err.Error(), text)
		}

		st.fail(nil)
		st.other = &store.Record{ID: "another"}
		_, err = ts.Redeem(t.Context(), text, tickets.Login, all)
		require.ErrorIs(t, err, gateway.ErrUnavailable, "replies that are mixed up say nothing about the ticket")
		st.other = nil
		_, err = ts.Redeem(t.Context(), text, tickets.Login, all)
		require.NoError(t, err)

		st.fail(down)
		time.Sleep(lifetime)
		synctest.Wait()
		require.EqualValues(t, 1, failures.Load())
		require.Zero(t, cfg.Clock.Len(), "a removal that fails isn't repeated without a new ticket")
	})
}

// hanging is a store that answers only when the context of the call ends.
type hanging struct{ *livestore.Store }

func (h hanging) App(string) store.Store { return h }

func (hanging) Get(ctx context.Context, _ string) (store.Record, error) {
	<-ctx.Done()
	return store.Record{}, ctx.Err()
}

func (hanging) Set(ctx context.Context, _ store.Record) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (hanging) Sweep(ctx context.Context, _ time.Time, _ int) ([]store.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A caller that gives up while the store hangs gets the cause of its context's end; one that waits
// until StoreTimeout gets ErrUnavailable.
func TestGivingUpIsNoFailureOfTheStore(t *testing.T) {
	text, err := tickets.New(livestore.New(), config(t)).Issue(t.Context(), login)
	require.NoError(t, err)
	for doing, call := range map[string]func(context.Context, *tickets.Tickets) error{
		"store a ticket": func(ctx context.Context, ts *tickets.Tickets) error {
			_, err := ts.Issue(ctx, login)
			return err
		},
		"load a ticket": func(ctx context.Context, ts *tickets.Tickets) error {
			_, err := ts.Redeem(ctx, text, tickets.Login, all)
			return err
		},
		"sweep tickets": func(ctx context.Context, ts *tickets.Tickets) error { return ts.Sweep(ctx) },
	} {
		t.Run(doing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ts, hungUp := tickets.New(hanging{livestore.New()}, config(t)), errors.New("hung up")
				require.ErrorIs(t, call(t.Context(), ts), gateway.ErrUnavailable)

				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Millisecond, func() { cancel(hungUp) })
				err := call(ctx, ts)
				require.ErrorIs(t, err, hungUp)
				require.NotErrorIs(t, err, gateway.ErrUnavailable)
				require.ErrorContains(t, err, doing)
			})
		})
	}
}

// FuzzRedeem: only the text of a ticket is redeemed, and no text panics.
func FuzzRedeem(f *testing.F) {
	cfg := config(f)
	cfg.Lifetime = 24 * time.Hour
	ts := tickets.New(livestore.New(), cfg)
	text, err := ts.Issue(f.Context(), login)
	require.NoError(f, err)
	for _, seed := range []string{
		"", text[:42], text + "A", text[:42] + "!", text[1:] + "A", "==", "\x00", text[:21] + "\n" + text[21:],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spoiled string) {
		if spoiled == text {
			return
		}
		_, err := ts.Redeem(t.Context(), spoiled, tickets.Login, all)
		require.ErrorIs(t, err, tickets.ErrInvalid)
	})
}
