package ranges

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Off switches a limit off.
const Off = -1

// Most is the longest duration, 100 years: further away, sums of times overflow.
const Most = 100 * 365 * 24 * time.Hour

// Duration is an option: one of On or of OrOff.
type Duration struct {
	name     string
	value    *time.Duration
	def      time.Duration
	least    time.Duration
	canBeOff bool
}

// On returns an option that is from least to Most. def is the default.
func On(name string, value *time.Duration, def, least time.Duration) Duration {
	return Duration{name, value, def, least, false}
}

// OrOff is On for an option that may also be Off.
func OrOff(name string, value *time.Duration, def, least time.Duration) Duration {
	return Duration{name, value, def, least, true}
}

// Fill gives each option its default, or returns an error for one that is out of range. of names
// the struct that has them: "Options".
func Fill(of string, durations ...Duration) error {
	for _, d := range durations {
		if *d.value == 0 {
			*d.value = d.def
			continue
		}
		if err := Check(of+"."+d.name, *d.value, d.least, d.canBeOff); err != nil {
			return err
		}
	}
	return nil
}

// Check returns an error unless d is from least to Most, or may be Off and is.
func Check(name string, d, least time.Duration, canBeOff bool) error {
	off := ""
	if canBeOff {
		if d == Off {
			return nil
		}
		off = ", or Off"
	}
	if d < least || d > Most {
		return fmt.Errorf("bridge: %s: %v is out of range: %v to %v%s", name, d, least, Most, off)
	}
	return nil
}

// FillLimit gives an option that limits a number its default, or returns an error for a negative
// one that isn't Off.
func FillLimit[N ~int | ~int64](name string, value *N, def N) error {
	if *value < Off {
		return fmt.Errorf("bridge: %s: %d is negative; Off (%d) means no limit", name, *value, Off)
	}
	*value = cmp.Or(*value, def)
	return nil
}

// FillAmount gives an option that is a positive number, and can't be switched off, its default.
func FillAmount(name string, value *int, def int) error {
	if *value < 0 {
		return fmt.Errorf("bridge: %s: %d is out of range: it must be positive, and can't be switched off", name, *value)
	}
	*value = cmp.Or(*value, def)
	return nil
}

// Rate returns an error unless r is a number of events a second, from 0 to 1e9, or Off.
func Rate(name string, r float64) error {
	if r != Off && !(r >= 0 && r <= 1e9) { // also NaN
		return fmt.Errorf("bridge: %s: %v is out of range: 0 to 1e9; Off (%d) means no limit", name, r, Off)
	}
	return nil
}

// Enum returns an error for a value that isn't from first to last.
func Enum[E ~int | ~int8 | ~uint8](name string, value, first, last E) error {
	if value < first || value > last {
		typ := fmt.Sprintf("%T", value)
		return fmt.Errorf("bridge: %s: %d is no %s", name, value, typ[strings.LastIndexByte(typ, '.')+1:])
	}
	return nil
}
