package bridge

import (
	"cmp"
	"time"
)

// timeouts are the times that a preset stands for.
type timeouts struct{ idle, lifetime, renew time.Duration }

// presetTimeouts returns the preset's times. Where a standard gives a range, it is the lenient end of the idle timeout's (2 to 5 and 15 to 30 minutes), and the
// strict and the lenient one of the lifetime's (4 to 8 hours) for a high and a low risk. For renewal none gives a figure.
func presetTimeouts(p TimeoutPreset) (t timeouts, ok bool) {
	switch p {
	case TimeoutsDefault:
		return timeouts{}, true
	case TimeoutsOWASPHighRisk:
		return timeouts{5 * time.Minute, 4 * time.Hour, 15 * time.Minute}, true
	case TimeoutsOWASPLowRisk:
		return timeouts{30 * time.Minute, 8 * time.Hour, time.Hour}, true
	case TimeoutsNISTAAL1:
		return timeouts{Off, 30 * day, day}, true
	case TimeoutsNISTAAL2:
		return timeouts{time.Hour, 24 * time.Hour, time.Hour}, true
	case TimeoutsNISTAAL3:
		return timeouts{15 * time.Minute, 12 * time.Hour, 15 * time.Minute}, true
	}
	return t, false
}

// settlePreset fills in what the preset says, where the options say nothing.
func (s *settings) settlePreset() error {
	t, ok := presetTimeouts(s.Timeouts)
	if !ok {
		return bad("Timeouts", "%d is not a TimeoutPreset", s.Timeouts)
	}
	if s.IdleTimeout == 0 && t.idle > 0 { // a session is never ended early, but up to a touch interval late: no silence is to be longer than the standard's
		t.idle -= min(cmp.Or(s.TouchInterval, time.Minute), t.idle/11)
	}
	s.IdleTimeout = cmp.Or(s.IdleTimeout, t.idle)
	s.Lifetime = cmp.Or(s.Lifetime, t.lifetime)
	s.RenewEvery = cmp.Or(s.RenewEvery, t.renew)
	return s.settleRenewal()
}
