package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// keysEvery is how often the provider's keys are fetched at most. A token whose signature the known
// keys don't verify causes a fetch, and anyone can send such a token to BackChannelLogout.
const keysEvery = time.Second

// keySet is the provider's keys. It notes whether a verification has failed because they could not
// be fetched, which the verifiers of go-oidc don't say.
type keySet struct {
	remote  *gooidc.RemoteKeySet
	fetches *spacedTransport
}

type keysFailedKey struct{}

func newKeySet(ctx context.Context, client *http.Client, url string, timeout time.Duration) keySet {
	spaced := *client
	spaced.Timeout = timeout + keysEvery
	fetches := &spacedTransport{next: client.Transport}
	spaced.Transport = fetches
	return keySet{gooidc.NewRemoteKeySet(gooidc.ClientContext(ctx, &spaced), url), fetches}
}

// mostRepeats is how often a failed request for keys is taken for an earlier one at most: one that
// can't even be sent fails again and again.
const mostRepeats = 1000

// VerifySignature implements gooidc.KeySet. No signature is found invalid by keys that were
// requested before the call, and none fails with such a request: the RemoteKeySet also has the result
// of a request under way, or just answered, in which a key published since is missing.
func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	before := k.fetches.sent.Load()
	payload, err := k.remote.VerifySignature(ctx, jwt)
	for n := 0; err != nil && k.fetches.sent.Load() == before; n++ {
		failed := errors.Unwrap(err) != nil // an invalid signature has no cause, in contrast to a failed request
		if failed && (n == mostRepeats || ctx.Err() != nil) {
			break
		}
		runtime.Gosched() // the RemoteKeySet forgets a request just after its answer
		payload, err = k.remote.VerifySignature(ctx, jwt)
	}
	if failed, ok := ctx.Value(keysFailedKey{}).(*error); ok && errors.Unwrap(err) != nil {
		*failed = err
	}
	return payload, err
}

// verified calls verify, and returns an error that is ErrToken or ErrUnreachable.
func verified[T any](ctx context.Context, raw string, verify func(context.Context, string) (T, error)) (T, error) {
	var failed error
	token, err := verify(context.WithValue(ctx, keysFailedKey{}, &failed), raw)
	switch {
	case failed != nil:
		return token, fmt.Errorf("%w: fetch its keys: %w", ErrUnreachable, failed)
	case err != nil:
		return token, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return token, nil
}

// spacedTransport delays requests, so that they are keysEvery apart. The RemoteKeySet has one
// request at a time, whose result all that wait for keys share.
type spacedTransport struct {
	next http.RoundTripper // nil: http.DefaultTransport
	sent atomic.Uint64     // requests

	mu   sync.Mutex
	last time.Time // when the last request began, or will
}

// RoundTrip implements http.RoundTripper.
func (t *spacedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	turn := time.NewTimer(t.reserve(time.Now()))
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	t.sent.Add(1)
	if t.next == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return t.next.RoundTrip(r)
}

// reserve returns how long the next request has to wait.
func (t *spacedTransport) reserve(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if next := t.last.Add(keysEvery); next.After(now) {
		t.last = next
	} else {
		t.last = now
	}
	return t.last.Sub(now)
}

// algorithms returns those of the provider's signature algorithms that prove who has signed:
// neither none nor those with a shared secret.
func algorithms(supported []string) []string {
	var some []string
	for _, alg := range []string{
		gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.ES256, gooidc.ES384, gooidc.ES512,
		gooidc.PS256, gooidc.PS384, gooidc.PS512, gooidc.EdDSA,
	} {
		if slices.Contains(supported, alg) {
			some = append(some, alg)
		}
	}
	if some == nil {
		return []string{gooidc.RS256} // which every provider supports (OpenID Connect Discovery §3)
	}
	return some
}
