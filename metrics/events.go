package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Observe counts and times the events of b until off is called, and registers the metrics with reg.
// off unregisters them, and may be called repeatedly.
//
// The values of each label are a fixed set, and anything else is "other": a client can't add any.
// An event of another process that shares the store has the label via="node". Observe is an
// observer like any other: events that it misses because it is too far behind are counted in
// sessionbridge_observed_events_missed_total. It fails if reg has the metrics with these labels
// already.
func Observe(b *bridge.Bridge, reg prometheus.Registerer, labels prometheus.Labels) (off func(), err error) {
	e := newEvents(labels)
	all := e.collectors()
	unregister := func(some []prometheus.Collector) {
		for _, c := range some {
			reg.Unregister(c)
		}
	}
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			unregister(all[:i])
			return nil, fmt.Errorf("metrics: registering the metrics of events: %w", err)
		}
	}
	stop := b.Observe(bridge.Observer{
		SessionSet:         e.sessionSet,
		SessionDestroy:     e.sessionDestroy,
		Cleanup:            func(ev bridge.Cleanup) { e.cleanup.Observe(ev.Took.Seconds()) },
		ConnOpen:           func(bridge.ConnOpen) { e.opened.Inc() },
		ConnClose:          e.connClose,
		Failure:            func(ev bridge.Failure) { e.failures.WithLabelValues(failureKind(ev.Err)).Inc() },
		CredentialRejected: e.credentialRejected,
		Missed:             func(ev bridge.Missed) { e.missed.Add(float64(ev.Events)) },
	})
	return func() {
		stop()
		unregister(all)
	}, nil
}

// events are the metrics. Its methods are called by one goroutine.
type events struct {
	created, logins, ended, rejected, failures, closed *prometheus.CounterVec

	opened, missed             prometheus.Counter
	open, cleanup, revocations prometheus.Histogram

	ends ends
}

func newEvents(labels prometheus.Labels) *events {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}
	}
	vec := func(name, help string, by ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(opts(name, help), by)
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: name, Help: help, ConstLabels: labels, Buckets: buckets,
		})
	}
	return &events{
		created:  vec("sessions_created_total", "Sessions that began.", "via"),
		logins:   vec("logins_total", "Logins of users.", "via"),
		ended:    vec("sessions_ended_total", "Sessions that ended.", "reason", "via"),
		rejected: vec("credentials_rejected_total", "Credentials that opened nothing.", "credential", "reason"),
		failures: vec("failures_total", "Failures that no caller receives as an error.", "kind"),
		closed:   vec("connections_closed_total", "Connections that were closed, by their close code.", "code"),
		opened:   prometheus.NewCounter(opts("connections_opened_total", "Connections that were opened.")),
		missed: prometheus.NewCounter(opts("observed_events_missed_total",
			"Events that these metrics lack because they were too far behind.")),
		open: histogram("connection_duration_seconds", "How long closed connections were open.",
			1, 10, 60, 300, 900, 3600, 4*3600, 12*3600, 24*3600, 3*24*3600),
		cleanup: histogram("cleanup_duration_seconds", "How long removals of expired sessions took.",
			.001, .01, .1, 1, 10, 60),
		revocations: histogram("revocation_duration_seconds",
			"Time from the end of a session to the close of its connections, as this process noticed both.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5),
	}
}

func (e *events) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		e.created, e.logins, e.ended, e.rejected, e.failures, e.closed, e.opened, e.missed, e.open, e.cleanup, e.revocations,
	}
}

func (e *events) sessionSet(ev bridge.SessionSet) {
	if ev.IsNew {
		e.created.WithLabelValues(via(ev.Via)).Inc()
	}
	if ev.Login {
		e.logins.WithLabelValues(via(ev.Via)).Inc()
	}
}

func (e *events) sessionDestroy(ev bridge.SessionDestroy) {
	e.ended.WithLabelValues(reason(ev.Reason), via(ev.Via)).Inc()
	e.ends.note(ev.SessionID)
}

func (e *events) connClose(ev bridge.ConnClose) {
	e.closed.WithLabelValues(code(ev.Code)).Inc()
	e.open.Observe(ev.Open.Seconds())
	if took, ok := e.ends.since(ev.SessionID); ok {
		e.revocations.Observe(took.Seconds())
	}
}

func (e *events) credentialRejected(ev bridge.CredentialRejected) {
	e.rejected.WithLabelValues(credential(ev.Credential), rejectReason(ev.Reason)).Inc()
}

// failureKind returns what has failed.
func failureKind(err error) string {
	switch {
	case errors.Is(err, bridge.ErrPanicked):
		return "panic"
	case errors.Is(err, bridge.ErrStoreUnavailable):
		return "store"
	case errors.Is(err, bridge.ErrNodeSilent):
		return "node"
	}
	return "other"
}
