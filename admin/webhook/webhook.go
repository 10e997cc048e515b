package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/admin/internal/eventjson"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redact"
)

// Endpoint is a program that receives events.
type Endpoint struct {
	// URL receives the requests. It must be https, or http on this machine. Redirects are not
	// followed.
	URL string
	// Secret signs the requests: "whsec_" and the base64 of 24 to 64 random bytes. NewSecret makes
	// one.
	Secret string
	// Types are the types of events that are sent, such as "session.destroy"; none: all but
	// "credential.rejected", which any client can cause at any rate. "missed" is always sent: it
	// says that events are missing before it.
	Types []string
}

// Format implements fmt.Formatter. It prints neither the Secret nor the URL, which may be one.
func (e Endpoint) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, e.redacted()) }

// LogValue implements slog.LogValuer.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.redacted()) }

func (e Endpoint) redacted() string { return redact.Struct("webhook.Endpoint", e, "URL", "Secret") }

// Options are optional.
type Options struct {
	Timeout    time.Duration    // of a request; default 15 s
	Attempts   int              // for each event; default 8, in about a day
	Queue      int              // events that wait for an Endpoint; default 10,000
	Client     *http.Client     // its Timeout and CheckRedirect are replaced; default: one with http.DefaultTransport
	DeadLetter func(DeadLetter) // receives what is given up; must be safe for concurrent use
	Logger     *slog.Logger     // logs what is given up, without its content; default slog.Default()
}

// DeadLetter is an event that was given up.
type DeadLetter struct {
	URL      string // of the Endpoint
	ID       string // the Webhook-Id
	Type     string
	Body     []byte // the JSON
	Attempts int    // how often it was sent
	Err      error  // why it was given up: of the last attempt, ErrQueueFull or ErrClosed
}

// The reasons for which an event is given up without another attempt.
var (
	ErrQueueFull = errors.New("webhook: too many events wait for the endpoint")
	ErrClosed    = errors.New("webhook: the sender was closed")
	ErrDisabled  = errors.New("webhook: the endpoint has answered 410 Gone and gets no more events")
)

// Sender sends the events of a Bridge. Make it with Start.
type Sender struct {
	events  <-chan bridge.Event
	stop    context.CancelFunc
	reading sync.WaitGroup
	lines   []*line
}

// eventsQueued is how many events of the Bridge wait for the Sender.
const eventsQueued = 1024

// Start sends the events of b from now on, until it is shut down. Close the Sender after that, or
// before. Start returns an error that names the field if an Endpoint or an option isn't valid.
func Start(b *bridge.Bridge, endpoints []Endpoint, opts *Options) (*Sender, error) {
	o, err := opts.resolved()
	if err != nil {
		return nil, err
	}
	s := &Sender{}
	for i, e := range endpoints {
		key, err := e.check(fmt.Sprintf("webhook: Endpoints[%d]", i))
		if err != nil {
			return nil, err
		}
		s.lines = append(s.lines, newLine(e, key, &o))
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.events = b.Subscribe(ctx, eventsQueued)
	for _, l := range s.lines {
		l.start()
	}
	s.reading.Go(s.read)
	return s, nil
}

func (s *Sender) read() {
	for ev := range s.events {
		kind, body := eventjson.Marshal(time.Now(), ev)
		x := letter{id: "msg_" + rand.Text(), kind: kind, body: body}
		for _, l := range s.lines {
			if l.wants(kind) {
				l.add(x)
			}
		}
	}
}

// Close takes no more events, sends each one that waits once more at once, and returns when nothing
// runs any more. When ctx ends it gives up what is left.
func (s *Sender) Close(ctx context.Context) {
	s.stop()
	s.reading.Wait()
	var closing sync.WaitGroup
	for _, l := range s.lines {
		closing.Go(func() { l.close(ctx) })
	}
	closing.Wait()
}

func (o *Options) resolved() (Options, error) {
	r := Options{}
	if o != nil {
		r = *o
	}
	for name, negative := range map[string]bool{
		"Timeout": r.Timeout < 0, "Attempts": r.Attempts < 0, "Queue": r.Queue < 0,
	} {
		if negative {
			return r, fmt.Errorf("webhook: Options.%s is negative", name)
		}
	}
	r.Timeout = cmp.Or(r.Timeout, 15*time.Second)
	r.Attempts = cmp.Or(r.Attempts, 8)
	r.Queue = cmp.Or(r.Queue, 10_000)
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	client := http.Client{}
	if r.Client != nil {
		client = *r.Client
	}
	client.Timeout = r.Timeout
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r.Client = &client
	return r, nil
}

// check returns the key of the Endpoint's Secret. An error begins with at.
func (e *Endpoint) check(at string) (key []byte, err error) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "":
		return nil, fmt.Errorf("%s.URL is not an absolute URL", at)
	case u.User != nil:
		return nil, fmt.Errorf("%s.URL contains a user", at)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s.URL is http beyond this machine: use https", at)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s.URL is neither http nor https", at)
	}
	for _, name := range e.Types {
		if !slices.Contains(eventjson.Types(), name) {
			return nil, fmt.Errorf("%s.Types: there is no type %q", at, name)
		}
	}
	if key, err = parseSecret(e.Secret); err != nil {
		return nil, fmt.Errorf("%s.Secret %w", at, err)
	}
	return key, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
