package webhook

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/admin/internal/eventjson"
)

const (
	parallel     = 4              // requests to one Endpoint at a time
	longestPause = 24 * time.Hour // that an Endpoint can ask for
)

// line is the way to one Endpoint.
type line struct {
	endpoint Endpoint
	key      []byte
	opts     *Options

	ctx     context.Context // of the requests
	cancel  context.CancelFunc
	running sync.WaitGroup // run, and the requests
	wake    chan struct{}

	mu      sync.Mutex
	waiting letters
	sending int // requests under way
	number  uint64
	closing bool  // nothing is added, and each letter has its last attempt
	refusal error // nothing is sent any more
}

func newLine(e Endpoint, key []byte, o *Options) *line {
	l := &line{endpoint: e, key: key, opts: o, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *line) start() { l.running.Go(l.run) }

func (l *line) wants(kind string) bool {
	switch {
	case kind == eventjson.Missed:
		return true
	case len(l.endpoint.Types) == 0:
		return kind != eventjson.CredentialRejected
	}
	return slices.Contains(l.endpoint.Types, kind)
}

func (l *line) add(x letter) {
	l.mu.Lock()
	err := l.refusal
	switch {
	case err != nil:
	case l.closing:
		err = ErrClosed
	case len(l.waiting)+l.sending >= l.opts.Queue:
		err = ErrQueueFull
	default:
		l.number++
		x.number, x.due = l.number, time.Now()
		l.waiting.add(&x)
	}
	l.mu.Unlock()
	if err != nil {
		l.giveUp(&x, err)
		return
	}
	l.nudge()
}

func (l *line) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run sends what is due until the line is closed and empty.
func (l *line) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, over := l.sendDue()
		if over {
			return
		}
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// sendDue starts requests. It returns how long to wait for the next one that is due, 0 if there is
// none or the running ones come first, and whether the line has ended.
func (l *line) sendDue() (wait time.Duration, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.sending < parallel {
		x, wait := l.waiting.next(time.Now())
		if x == nil {
			return wait, l.closing && l.sending == 0 && len(l.waiting) == 0
		}
		l.sending++
		l.running.Go(func() { l.deliver(x) })
	}
	return 0, false
}

// deliver makes one attempt.
func (l *line) deliver(x *letter) {
	x.attempts++
	later, err := l.post(x)
	l.mu.Lock()
	l.sending--
	again := err != nil && !l.closing && l.refusal == nil && x.attempts < l.opts.Attempts
	if again {
		longest := pause(x.attempts)
		x.due = time.Now().Add(max(longest/2+rand.N(longest/2), later))
		l.waiting.add(x)
	}
	if err != nil && l.refusal != nil && !errors.Is(err, l.refusal) {
		err = fmt.Errorf("%w: %w", l.refusal, err)
	}
	l.mu.Unlock()
	if err != nil && !again {
		l.giveUp(x, err)
	}
	l.nudge()
}

// post sends the letter. With an error it returns how long the Endpoint wants not to be asked again.
func (l *line) post(x *letter) (later time.Duration, err error) {
	at := time.Now()
	r, err := http.NewRequestWithContext(l.ctx, http.MethodPost, l.endpoint.URL, bytes.NewReader(x.body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sessionbridge-webhook")
	r.Header.Set("Webhook-Id", x.id)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("Webhook-Signature", sign(l.key, x.id, at, x.body))
	res, err := l.opts.Client.Do(r)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err // without the URL, which may be a secret
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	switch {
	case res.StatusCode/100 == 2:
		return 0, nil
	case res.StatusCode == http.StatusGone:
		l.refuse(ErrDisabled)
		return 0, ErrDisabled
	}
	return retryAfter(res.Header), fmt.Errorf("webhook: the endpoint answered %q", res.Status)
}

// retryAfter returns how long a response asks to wait; 0 if it doesn't.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return min(time.Duration(min(seconds, 1e6))*time.Second, longestPause)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(time.Until(at), longestPause))
	}
	return 0
}

// refuse gives up what waits and what comes.
func (l *line) refuse(err error) {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting, l.refusal = nil, err
	l.mu.Unlock()
	for _, x := range waiting {
		l.giveUp(x, err)
	}
}

// giveUp reports a letter that isn't sent any more.
func (l *line) giveUp(x *letter, err error) {
	host := ""
	if u, err := url.Parse(l.endpoint.URL); err == nil {
		host = u.Host
	}
	l.opts.Logger.LogAttrs(l.ctx, slog.LevelWarn, "webhook: an event was given up",
		slog.String("host", host), slog.String("id", x.id), slog.String("type", x.kind),
		slog.Int("attempts", x.attempts), slog.Any("error", err))
	if l.opts.DeadLetter == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			l.opts.Logger.LogAttrs(l.ctx, slog.LevelError, "webhook: Options.DeadLetter panicked", slog.Any("panic", p))
		}
	}()
	l.opts.DeadLetter(DeadLetter{
		URL: l.endpoint.URL, ID: x.id, Type: x.kind, Body: x.body, Attempts: x.attempts, Err: err,
	})
}

// close makes a last attempt for each letter, and returns when nothing runs any more. At the end of
// ctx it gives up those that are left.
func (l *line) close(ctx context.Context) {
	l.mu.Lock()
	l.closing = true
	for _, x := range l.waiting {
		x.due = time.Time{}
	}
	heap.Init(&l.waiting) // now by number
	l.mu.Unlock()
	l.nudge()
	stop := context.AfterFunc(ctx, func() {
		l.refuse(ErrClosed)
		l.cancel()
		l.nudge()
	})
	l.running.Wait()
	stop()
	l.cancel()
	l.opts.Client.CloseIdleConnections()
}
