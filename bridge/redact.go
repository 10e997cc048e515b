package bridge

import (
	"fmt"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/redact"
)

// Applications print what they have in their hands, in a line of a log or when something panics.
// What follows has fmt and slog show of it what a log may have: no value, no user, no token, no
// hash of one, and IDs as a keyed hash only. It reads nothing that needs a lock.

// Format implements fmt.Formatter.
func (s Session) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "bridge.Session(%s)", s.hashed()) }

// LogValue implements slog.LogValuer.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.hashed()) }

func (s Session) hashed() string {
	if s.sessionState == nil {
		return ""
	}
	return s.b.hashed(s.id)
}

// Format implements fmt.Formatter: of a link only the client is printed, as a keyed hash.
func (l *Link) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Link(client %s)", l.client())
}

// LogValue implements slog.LogValuer.
func (l *Link) LogValue() slog.Value { return slog.GroupValue(slog.String("client", l.client())) }

func (l *Link) client() string {
	if l == nil {
		return ""
	}
	return l.b.hashed(l.entry.ClientID)
}

// Format implements fmt.Formatter: of a connection only the client is printed, as a keyed hash.
func (c *Conn) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Conn(client %s)", c.ofLink().client())
}

// LogValue implements slog.LogValuer.
func (c *Conn) LogValue() slog.Value { return c.ofLink().LogValue() }

func (c *Conn) ofLink() *Link {
	if c == nil {
		return nil
	}
	return c.link
}

// Format implements fmt.Formatter: of a message only its kind and size are printed.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Message(%s of %d bytes)", m.Type, len(m.Data))
}

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("type", m.Type.String()), slog.Int("bytes", len(m.Data)))
}

// MarshalJSON implements json.Marshaler: slog's JSONHandler asks no LogValuer within other values.
func (m Message) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"type":%q,"bytes":%d}`, m.Type, len(m.Data)), nil
}

// Format implements fmt.Formatter.
func (b *Bridge) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "bridge.Bridge") }

// String has the context package print a request's context by its name, and Format fmt.
func (rq *request) String() string             { return "bridge.request" }
func (rq *request) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, rq.String()) }

// Format implements fmt.Formatter.
func (s requestSessioner) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.rq.String()) }

// The contexts of a function of WithSession and of a connection do the same.

func (m *mark) String() string             { return "bridge.WithSession" }
func (m *mark) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, m.String()) }

func (c *linkContext) String() string             { return "bridge.connection" }
func (c *linkContext) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.String()) }

// Format implements fmt.Formatter: all fields are printed, but of Keys only how many there are.
func (o Options) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, o.redacted()) }

// LogValue implements slog.LogValuer.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.redacted()) }

func (o Options) redacted() string { return redact.Struct("bridge.Options", o, "Keys") }
