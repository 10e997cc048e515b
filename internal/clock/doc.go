// Package clock runs functions at given times: any number of deadlines share one goroutine and one
// timer.
//
// A function runs once, at its time or shortly after, never before. Functions run one after
// another on the clock's goroutine, without a lock, and must not block: every other deadline
// waits for them. A deadline can be moved and removed at any time, also by its own function and
// after it has run.
//
// A time with a monotonic reading, such as time.Now().Add(d), is reached after that much time has
// passed, even if the system's wall clock is set meanwhile. A time without one, such as the expiry
// of a session, is reached when the wall clock shows it; if that is set forward, or the machine
// was suspended, the function may run up to a minute late.
//
// An unplanned deadline costs 24 bytes, a planned one a pointer more. Planning, moving and removing
// take O(log n) time.
package clock
