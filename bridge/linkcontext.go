package bridge

import "time"

// linkContext is a link as the root of its context: it has values, and doesn't end.
type linkContext Link

// Deadline implements context.Context.
func (*linkContext) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// Done implements context.Context.
func (*linkContext) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (*linkContext) Err() error { return nil }

// Value implements context.Context.
func (c *linkContext) Value(key any) any {
	if _, ok := key.(identityKey); ok {
		return identity((*Link)(c))
	}
	return c.base.Value(key)
}

func (l *Link) askClient() string     { return l.entry.ClientID }
func (l *Link) openedSession() string { return l.SessionID() }
