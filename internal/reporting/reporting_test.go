package reporting_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/redact"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/store"
)

var errLost = errors.New("the store is lost")

// log is the output of a Handler, which blocks while it is stalled.
type log struct {
	mu       sync.Mutex
	text     bytes.Buffer
	stalled  chan struct{} // has an element while the Handler is to block
	emitted  []reporting.Failure
	reporter *reporting.Reporter
}

func (l *log) Write(p []byte) (int, error) {
	l.stalled <- struct{}{}
	<-l.stalled
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newLog(level slog.Level) *log {
	l := &log{stalled: make(chan struct{}, 1)}
	l.reporter = reporting.New(reporting.Config{
		Logger:   slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level})),
		Key:      redact.Key{1},
		Go:       func(write func()) { go write() },
		Emit:     func(f reporting.Failure) { l.emitted = append(l.emitted, f) },
		Patience: time.Second,
	})
	return l
}

func TestAFailureIsLoggedAndEmittedWithTheSameContent(t *testing.T) {
	for name, report := range map[string]func(context.Context, *log, string){
		"at once": func(ctx context.Context, l *log, id string) {
			l.reporter.Failed(ctx, slog.LevelWarn, "look", id, errLost)
		},
		"aside": func(ctx context.Context, l *log, id string) {
			l.reporter.FailedAside(ctx, slog.LevelWarn, "look", id, errLost)
		},
		"in time": func(ctx context.Context, l *log, id string) {
			l.reporter.FailedInTime(ctx, slog.LevelWarn, "look", id, errLost)
		},
		"store": func(ctx context.Context, l *log, id string) { l.reporter.StoreFailed(ctx, "look", id, errLost) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog(slog.LevelInfo)
				report(t.Context(), l, "")
				report(t.Context(), l, "the-session")
				synctest.Wait()
				require.Equal(t, []reporting.Failure{{"look", "", errLost}, {"look", "the-session", errLost}}, l.emitted)
				lines := strings.Split(strings.TrimSpace(l.String()), "\n")
				require.Len(t, lines, 2)
				for _, line := range lines {
					require.Contains(t, line, `level=WARN msg=failed doing=look error="the store is lost"`)
				}
				require.NotContains(t, lines[0], "session=")
				require.Contains(t, lines[1], "session="+l.reporter.Hash("the-session"))
				require.NotContains(t, l.String(), "the-session")
			})
		})
	}
}

func TestASlowHandlerDelaysFailedAsideNotAtAllAndOthersForTheirPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(slog.LevelInfo)
		ctx, start := t.Context(), time.Now()
		l.stalled <- struct{}{}
		l.reporter.FailedAside(ctx, slog.LevelWarn, "look", "", errLost)
		l.reporter.Aside(ctx, slog.LevelInfo, "a line")
		require.Zero(t, time.Since(start))
		l.reporter.FailedInTime(ctx, slog.LevelWarn, "look", "", errLost)
		require.Equal(t, time.Second, time.Since(start))
		l.reporter.Panicked(ctx, "it panicked", "run it", "", "the value")
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Len(t, l.emitted, 3, "events don't wait for the log")
		<-l.stalled
		synctest.Wait()
		require.Equal(t, 4, strings.Count(l.String(), "level="))
	})
}

func TestAPanicIsLoggedWithItsStackAndEmittedWithout(t *testing.T) {
	l := newLog(slog.LevelInfo)
	func() {
		defer func() { l.reporter.Panicked(t.Context(), "it panicked", "run it", "the-session", recover()) }()
		panic("the value")
	}()
	require.Equal(t, []reporting.Failure{{"run it", "the-session", reporting.ErrPanicked}}, l.emitted)
	for _, has := range []string{"level=ERROR", "it panicked", "the value", "reporting_test.go", "session=" + l.reporter.Hash("the-session")} {
		require.Contains(t, l.String(), has)
	}
}

func TestAPanicIsLoggedEvenIfTheLoggerDiscardsErrors(t *testing.T) {
	before, l := slog.Default(), newLog(slog.LevelInfo)
	slog.SetDefault(slog.New(slog.NewTextHandler(l, nil)))
	defer slog.SetDefault(before)
	reporting.LogPanic(t.Context(), slog.New(slog.DiscardHandler), "it panicked", 1, "the stack", slog.Int("n", 2))
	require.Contains(t, l.String(), `msg="it panicked" n=2 panic=1 stack="the stack"`)
}

// bent is a Handler that panics.
type bent struct{ slog.Handler }

func (bent) Handle(context.Context, slog.Record) error { panic("bent") }

func TestAHandlerThatPanicsIsAFailureAndHasNoFurtherEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var emitted []reporting.Failure
		r := reporting.New(reporting.Config{
			Logger: slog.New(bent{slog.NewTextHandler(os.Stderr, nil)}), Go: func(write func()) { go write() },
			Emit: func(f reporting.Failure) { emitted = append(emitted, f) }, Patience: time.Second,
		})
		r.Aside(t.Context(), slog.LevelInfo, "a line")
		synctest.Wait()
		require.Len(t, emitted, 1)
		require.ErrorIs(t, emitted[0].Err, reporting.ErrPanicked)
	})
}

func TestDroppedLinesAreCountedInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(slog.LevelInfo)
		l.stalled <- struct{}{}
		for range 5000 {
			l.reporter.Aside(t.Context(), slog.LevelInfo, "a line")
			synctest.Wait()
		}
		<-l.stalled
		synctest.Wait()
		require.Contains(t, l.String(), "log lines were dropped")
	})
}

func TestTheLifeOfASessionIsLogged(t *testing.T) {
	l := newLog(slog.LevelDebug)
	rec := &store.Record{ID: "the-session", ClientID: "the-client", UserID: "the-user"}
	renewed := *rec
	renewed.Renewal = store.RenewalSent
	for message, c := range map[string]gateway.Commit{
		`msg="session created"`: {Record: rec, IsNew: true},
		`msg="token rotated"`:   {Record: rec, Rotated: true},
		`msg="token renewed"`:   {Record: &renewed, Rotated: true},
		`msg="user logged in"`:  {Record: rec, Rotated: true, Login: true, PrevUserID: "the-other"},
	} {
		require.NotContains(t, l.String(), message)
		l.reporter.Commit(&c, "192.0.2.1", "http")()
		require.Contains(t, l.String(), message)
	}
	require.Nil(t, l.reporter.Commit(&gateway.Commit{Record: rec}, "", "http"), "other changes aren't logged")
	l.reporter.End(reporting.Subject{SessionID: "the-session", ClientID: "the-client", Via: "socket"}, "logout")
	require.Contains(t, l.String(), "via=socket reason=logout")
	require.Contains(t, l.String(), "previous_user="+l.reporter.Hash("the-other"))
	require.Contains(t, l.String(), " session="+l.reporter.Hash("the-session")+" client="+l.reporter.Hash("the-client")+
		" user="+l.reporter.Hash("the-user")+" addr=192.0.2.1 via=http\n")
	require.NotContains(t, l.String(), "the-")
}

// A login that creates a session is two lines.
func TestALoginThatCreatesASession(t *testing.T) {
	l := newLog(slog.LevelDebug)
	l.reporter.Commit(&gateway.Commit{
		Record: &store.Record{ID: "s", UserID: "u"}, IsNew: true, Rotated: true, Login: true,
	}, "", "api")()
	require.Equal(t, 2, strings.Count(l.String(), "\n"))
	require.Equal(t, 2, strings.Count(l.String(), "level=DEBUG"))
	require.Contains(t, l.String(), `msg="session created"`)
	require.Contains(t, l.String(), `msg="user logged in"`)
}

// With an audit log of its own the log has none of its lines.
func TestTheAuditLogIsSeparate(t *testing.T) {
	var log, audit bytes.Buffer
	r := reporting.New(reporting.Config{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Audit:  slog.New(slog.NewTextHandler(&audit, nil)),
		Key:    redact.Key{1},
	})
	r.End(reporting.Subject{SessionID: "s"}, "expired")
	r.LimitExceeded(t.Context(), "Options.X", "5", reporting.Subject{Addr: "192.0.2.1"})
	require.Empty(t, log.String())
	require.Contains(t, audit.String(), `level=INFO msg="session ended" session=`+r.Hash("s")+" reason=expired\n")
	require.Contains(t, audit.String(), `level=WARN msg="limit exceeded" addr=192.0.2.1 limit=Options.X value=5`+"\n")
}

// Lines that any client can cause don't fill the log, and nothing is lost without a trace.
func TestRefusalsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var audit bytes.Buffer
		r := reporting.New(reporting.Config{Audit: slog.New(slog.NewTextHandler(&audit, nil))})
		count := func(text string) (n int) {
			defer audit.Reset()
			return strings.Count(audit.String(), text)
		}
		refuse := func(kind string, n int) {
			for range n {
				r.AuditRefusal(t.Context(), slog.LevelInfo, "credential refused", kind, reporting.Subject{})
			}
		}
		refuse("signature", 10_000)
		require.Equal(t, 100, count("credential refused"))
		refuse("session", 1)
		require.Equal(t, 1, count("credential refused"), "of another kind")
		time.Sleep(time.Second)
		refuse("signature", 1)
		require.Equal(t, 1, count("suppressed=9900"))
		refuse("signature", 100)
		require.Equal(t, 19, count("credential refused"))
		for range 10_000 {
			r.Audit(t.Context(), slog.LevelInfo, "session created", reporting.Subject{})
		}
		require.Equal(t, 10_000, count("session created"), "these are not limited")
	})
}

func TestTheDefaultHandlerIsThatOfTheTimeOfTheLine(t *testing.T) {
	before, l := slog.Default(), newLog(slog.LevelInfo)
	logger := slog.New(reporting.DefaultHandler{})
	slog.SetDefault(slog.New(slog.NewTextHandler(l, nil)))
	defer slog.SetDefault(before)
	logger.With(slog.Int("a", 1)).WithGroup("g").Info("hello", slog.Int("b", 2))
	logger.WithGroup("g").Debug("below Info")
	logger.Debug("below Info")
	require.Contains(t, l.String(), "msg=hello a=1 g.b=2")
	require.NotContains(t, l.String(), "below")
}
