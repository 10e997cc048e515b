package filestore

import (
	"fmt"
	"strings"
)

// RepairReport is what Repair has done.
type RepairReport struct {
	From, To string
	Sessions int64 // in the new store
	Lost     int64 // sessions, about, that couldn't be read
	Unread   int64 // pages of the database that are in use and couldn't be read: how many sessions they have isn't known
	Changes  int64 // of the log that were brought in
	LostLog  int64 // bytes of the log, with changes, that couldn't be read
	NoLog    bool  // the log that there should have been was missing

	Problems []Problem // of the old store: the first hundred of the database, and of the log
	More     int64     // that aren't listed
	Warnings []string  // what to think of before the new store is used
}

const signOut = "if a logout was among them, its session is open again: when in doubt, sign everybody out"

// warn says what follows from what was lost.
func (s *salvage) warn() {
	r := s.report
	r.Lost = s.failed
	if s.head != nil && !s.head.midway { // else the indexes may be ahead of the sessions
		listed := max(s.listed[dueBucket], s.listed[seenBucket], s.listed[usersBucket], s.listed[clientsBucket])
		r.Lost = max(r.Lost, listed-s.read)
	}
	switch {
	case r.LostLog > 0:
		r.warning("the last changes are incomplete, because %s of the log can't be read; %s", count(r.LostLog, "byte"), signOut)
	case r.NoLog:
		r.warning("the last changes are missing, because they were in a log that isn't there; %s", signOut)
	}
	switch {
	case s.unproven > 0:
		r.warning("%s were found on pages that nothing leads to any more; if they were destroyed, they are open again: when in doubt, sign everybody out", count(s.unproven, "session"))
	case s.file.freeBroken:
		r.warning("the list of free pages is damaged, so that a session that was destroyed may be open again: when in doubt, sign everybody out")
	}
}

func (r *RepairReport) warning(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// String describes what was done in some lines.
func (r *RepairReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s saved into %s, with %s of the log\n", r.From, count(r.Sessions, "session"), r.To, count(r.Changes, "change"))
	if r.Lost > 0 {
		fmt.Fprintf(&b, "  lost: about %s\n", count(r.Lost, "session"))
	}
	if r.Unread > 0 {
		fmt.Fprintf(&b, "  lost: what was on %s\n", count(r.Unread, "page"))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "  problem: %v\n", p)
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "  and %s more\n", count(r.More, "problem"))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "  warning: %s\n", w)
	}
	return b.String()
}
