package bridgetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// maxEvents is how many events a Recorder keeps.
const maxEvents = 10_000

// Recorder collects the events of type E. Only one goroutine may use it: the test's.
type Recorder[E bridge.Event] struct {
	t      testing.TB
	events <-chan bridge.Event
}

// Events records the events of type E from now on, such as bridge.SessionDestroy, or all of them if
// E is bridge.Event. Events arrive shortly after their cause, so a test waits for them.
func Events[E bridge.Event](t testing.TB, b *bridge.Bridge) *Recorder[E] {
	return &Recorder[E]{t, b.Subscribe(t.Context(), maxEvents)}
}

// Next waits for the next event, Limit at most.
func (rec *Recorder[E]) Next() E {
	rec.t.Helper()
	return rec.WaitFor(func(E) bool { return true })
}

// WaitFor waits for an event for which match returns true, Limit at most, and discards the ones
// before it.
func (rec *Recorder[E]) WaitFor(match func(E) bool) (e E) {
	rec.t.Helper()
	late := time.NewTimer(Limit)
	defer late.Stop()
	var others strings.Builder
	for {
		select {
		case ev, ok := <-rec.events:
			if !ok {
				rec.t.Fatalf("bridgetest: the Bridge was shut down before such a %v; %s", reflect.TypeFor[E](), list(&others))
			}
			e, ok = ev.(E)
			if ok && match(e) {
				return e
			}
			fmt.Fprintf(&others, "\n\t%T%+v", ev, ev)
		case <-late.C:
			rec.t.Fatalf("bridgetest: no such %v within %v; %s", reflect.TypeFor[E](), Limit, list(&others))
		}
	}
}

// list returns the part of a failure that lists the events that didn't match.
func list(others *strings.Builder) string {
	if others.Len() == 0 {
		return "there were no others"
	}
	return "others were:" + others.String()
}

// Rest returns the events that have arrived, without waiting. In a synctest bubble, call it after
// Advance(0).
func (rec *Recorder[E]) Rest() (all []E) {
	for {
		select {
		case ev, ok := <-rec.events:
			if !ok {
				return all
			}
			if e, ok := ev.(E); ok {
				all = append(all, e)
			}
		default:
			return all
		}
	}
}
