package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

const (
	endAtOnce   = 32 // sessions that are ended at once: a store may group them
	endFailures = 32 // failures after which the rest isn't tried: the store is down
)

// DestroyUser ends the user's sessions and returns how many there were, except those with the given IDs: "sign out my other devices" (ASVS
// 7.4.3, 7.5.2). Connections in this process are being closed when it returns.
//
// It is complete: of the logins that are under way meanwhile, in this process and on the other nodes of a store that is a store.UserLocker, each is either ended with the others or comes after it as a whole. So a
// session of the user that somebody logs in again while it is about to end gives ErrSessionGone. With a store.UserLocker the user's logins wait for it, for Options.StoreTimeout at
// most (ErrStoreUnavailable); otherwise logins never wait for a DestroyUser, and it waits for those that were on their way to the store before it. A login whose outcome the store has left open (ErrStoreUnavailable) may be stored after it.
//
// It needs a store.UserIndex; a store.Lister is looked through: otherwise ErrUnsupported. A session that can't be ended doesn't keep it from ending
// the others, unless there are very many of them; the error joins what went wrong, beside the number of those that ended. Sessions that had ended or expired before
// don't count. ErrUserID for what can't be a user ID.
func (b *Bridge) DestroyUser(ctx context.Context, userID string, except ...string) (int, error) {
	if err := checkUserID(userID); err != nil {
		return 0, err
	}
	all, err := b.gateway.ByUser(ctx, userID)
	if err != nil {
		return 0, err
	}
	return b.endAll(ctx, userID, except, all)
}

// DestroyAll ends every session and returns how many there were. One that is created meanwhile is ended as well, or comes after it as a whole: see
// DestroyUser. It needs a store.Lister or a store.ActivityIndex: otherwise ErrUnsupported.
func (b *Bridge) DestroyAll(ctx context.Context) (int, error) {
	all, err := b.gateway.All(ctx)
	if err != nil {
		return 0, err
	}
	return b.endAll(ctx, "", nil, all)
}

// endAll ends those of the sessions that an ending takes which begins now: the iteration must not have begun.
func (b *Bridge) endAll(ctx context.Context, user string, except []string, all iter.Seq2[store.Record, error]) (n int, err error) {
	if b.caps.locker != nil && user != "" {
		unlock, failed := b.lockUser(ctx, user)
		if failed != nil {
			return 0, failed
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	en, before := b.logins.begin(user, except)
	finished := false
	defer func() {
		if !finished { // the store has panicked: logins must not end sessions for this ending for ever
			b.logins.finish(en)
		}
	}()
	e := ender{b: b, en: en, free: make(chan struct{}, endAtOnce)}
	if b.caps.locker == nil || user == "" { // otherwise they wait for this one
		err = waitFor(ctx, before)
	}
	if err == nil {
		err = e.run(ctx, all)
	}
	finished = true
	err = errors.Join(err, waitFor(ctx, b.logins.finish(en)))
	return e.ended + b.logins.helped(en), errors.Join(append(e.failures, err)...)
}

// lockUser keeps the user's logins out, at every node, until unlock is called.
func (b *Bridge) lockUser(ctx context.Context, user string) (unlock func() error, err error) {
	limited, cancel := context.WithTimeout(ctx, b.opts.StoreTimeout)
	defer cancel()
	free, err := b.caps.locker.LockUser(limited, user)
	if err != nil {
		return nil, storeFailure(ctx, "keep the user's logins out", err)
	}
	return func() error {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.StoreTimeout)
		defer cancel()
		if err := free(limited); err != nil { // it ends by itself, or has been lost meanwhile
			return fmt.Errorf("%w: keep the user's logins out to the end; one may have been missed: %w", ErrStoreUnavailable, err)
		}
		return nil
	}, nil
}

// ender ends sessions, several at once. It has waited for its goroutines when run returns.
type ender struct {
	b       *Bridge
	en      *ending
	free    chan struct{} // a slot for each session that is being ended
	running sync.WaitGroup

	mu       sync.Mutex
	ended    int
	failures []error
}

func (e *ender) run(ctx context.Context, all iter.Seq2[store.Record, error]) error {
	defer e.running.Wait()
	for rec, err := range all {
		if err != nil {
			return storeFailure(ctx, "end the sessions", err)
		}
		if !e.b.logins.takes(e.en, rec.ID, rec.UserID) {
			continue
		}
		select {
		case e.free <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if e.failing() {
			return nil
		}
		e.running.Go(func() {
			defer func() { <-e.free }()
			e.end(ctx, rec.ID)
		})
	}
	return nil
}

func (e *ender) failing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.failures) >= endFailures
}

// end ends one session, if it still is one of those: it may have become another user's, or the user's anew. A store that panics must not take the process with it.
func (e *ender) end(ctx context.Context, id string) {
	var ended bool
	err := errors.New("bridge: the store panicked")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", err, p)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if ended {
			e.ended++
		}
		if err != nil {
			e.failures = append(e.failures, err)
		}
	}()
	ended, err = e.b.gateway.DestroyIf(ctx, id, func(rec *store.Record) bool { return e.b.logins.takes(e.en, rec.ID, rec.UserID) }, e.en.from)
}
