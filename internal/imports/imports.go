package imports

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	// Keep is how long a claim is kept: longer than browsers keep a cookie, 400 days.
	Keep = 401 * 24 * time.Hour

	namespace = "sessionbridge.imports"
	pollEvery = 20 * time.Millisecond
)

// Derive returns the credential of the session that key becomes for an issuer: the name of a
// Bridge's cookie, because several Bridges may import the same session. A program that knows key
// can derive the credential, but without the keys of the Bridge can't sign a cookie with it.
func Derive(issuer, key string) credentials.Session {
	sum := sha256.Sum256([]byte("sessionbridge import\x00" + issuer + "\x00" + key))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // the form of a version 4
	return credentials.Session{ID: id.String(), Token: credentials.Token(sum[16:])}
}

// Claims records which sessions have been imported. It is safe for concurrent use.
type Claims struct {
	store   store.Store
	sweeper store.Sweeper // nil: records stay
	timeout time.Duration
	failed  Failed
}

// Failed reports a failure after which an import goes on.
type Failed func(ctx context.Context, doing, id string, err error)

// New returns the Claims in st. timeout limits each operation of the store.
func New(st store.Namespacer, timeout time.Duration, failed Failed) *Claims {
	c := &Claims{store: st.App(namespace), timeout: timeout, failed: failed}
	c.sweeper, _ = store.As[store.Sweeper](c.store)
	return c
}

// States of a claim, as the Data of its record.
const (
	begun    = `{}`
	finished = `{"finished":true}`
)

// Known reports whether an import of the session has begun. The error is that of Begin.
func (c *Claims) Known(ctx context.Context, id string) (bool, error) {
	_, err := c.load(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, gateway.Unavailable(ctx, "look for the import of a session", err)
	}
	return true, nil
}

// Begin reports whether the caller is the first one to import the session. It then calls Finish or
// Abort. Otherwise the session has been imported: Begin waits while that is under way, for twice
// the timeout at most. The error is gateway.ErrUnavailable, or the cause of ctx's end.
func (c *Claims) Begin(ctx context.Context, id string) (first bool, err error) {
	return c.begin(ctx, id, begun)
}

// Exclude has the session never be imported, if it exists as far as its library can say. imported
// reports that it has been already: Exclude waits as Begin does. The error is that of Begin, never
// one of the library: the exclusion doesn't depend on that.
func (c *Claims) Exclude(ctx context.Context, s *Source, id string) (imported bool, err error) {
	known, err := c.Known(ctx, id)
	if err != nil {
		return false, err
	}
	if !known {
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		if from, err := s.Read(limited); from == nil && err == nil { // a client can invent keys: nothing is written for one
			return false, nil
		}
	}
	first, err := c.begin(ctx, id, finished)
	return err == nil && !first, err
}

// begin claims the session, with the state of the claim.
func (c *Claims) begin(ctx context.Context, id, state string) (first bool, err error) {
	for {
		rec, err := c.load(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if first, err = c.claim(context.WithoutCancel(ctx), id, state); first {
				return true, nil
			}
			if errors.Is(err, store.ErrConflict) {
				continue
			}
		case err == nil && (string(rec.Data) == finished || time.Since(rec.Created) > 2*c.timeout):
			return false, nil
		}
		if err != nil {
			return false, gateway.Unavailable(ctx, "claim a session of another library", err)
		}
		if err := pause(ctx); err != nil {
			return false, err
		}
	}
}

// claim stores the claim. If the reply is lost, it reads whether the claim was stored: then no other
// caller would ever import the session.
func (c *Claims) claim(ctx context.Context, id, state string) (first bool, err error) {
	now := gateway.Now()
	rec := store.Record{
		ID: id, TokenGeneration: 1, Data: []byte(state),
		Created: now, Seen: now, Expires: now.Add(Keep), Lifetime: Keep, Writes: 1,
	}
	err = c.save(ctx, &rec)
	if err == nil || errors.Is(err, store.ErrConflict) {
		return err == nil, err
	}
	stored, failed := c.load(ctx, id)
	return failed == nil && stored.WriteID == rec.WriteID, err
}

// Finish records that the session has been imported.
func (c *Claims) Finish(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx)
	rec, err := c.load(ctx, id)
	if err == nil {
		rec.Data = []byte(finished)
		err = c.save(ctx, &rec)
	}
	if err != nil {
		return gateway.Unavailable(ctx, "record the import of a session", err)
	}
	return nil
}

// Abort lets others import the session, which the caller certainly hasn't.
func (c *Claims) Abort(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	if _, err := c.store.Destroy(ctx, id); err != nil {
		return gateway.Unavailable(ctx, "give up the import of a session", err)
	}
	return nil
}

// Sweep removes the records of claims that are older than Keep.
func (c *Claims) Sweep(ctx context.Context) error {
	if c.sweeper == nil {
		return nil
	}
	if err := gateway.SweepOther(ctx, c.sweeper, c.timeout); err != nil {
		return gateway.Unavailable(ctx, "sweep imports", err)
	}
	return nil
}

func (c *Claims) load(ctx context.Context, id string) (rec store.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if rec, err = c.store.Get(ctx, id); err == nil {
		err = gateway.CheckRecord(&rec, id)
	}
	return rec, err
}

func (c *Claims) save(ctx context.Context, rec *store.Record) error {
	_, _ = rand.Read(rec.WriteID[:])
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.store.Set(ctx, *rec)
	return err
}

func pause(ctx context.Context) error {
	again := time.NewTimer(pollEvery)
	defer again.Stop()
	select {
	case <-again.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
