package pgtest

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/faultynet"
)

// Proxy is the network between clients and a server. Its DropPushes drops notifications.
type Proxy struct{ *faultynet.Proxy }

// StartProxy starts a proxy in front of a server, which need not run, until the end of the test.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	return &Proxy{faultynet.Start(t, s.Addr(), func(drops func() bool) faultynet.Pass {
		return (&messages{drops: drops}).pass
	})}
}

// URL returns the URL for pgstore.Open, without TLS, so that the proxy understands the server.
func (p *Proxy) URL() string {
	return "postgres://" + superuser + "@" + p.Addr() + "/postgres?sslmode=disable"
}

// messages parses what a server sends, in pieces of any size: each message is a letter, and the
// length of the rest with itself in four bytes (https://www.postgresql.org/docs/current/protocol-message-formats.html).
type messages struct {
	drops func() bool // called for each notification

	head     []byte // of a message, as far as it has arrived
	rest     int    // missing bytes of the message whose head is complete
	dropping bool
}

const (
	headSize     = 5
	notification = 'A'
)

var errMessage = errors.New("pgtest: not a message of PostgreSQL")

func (m *messages) pass(in []byte) (out []byte, err error) {
	for len(in) > 0 {
		if m.rest == 0 {
			n := min(headSize-len(m.head), len(in))
			m.head, in = append(m.head, in[:n]...), in[n:]
			if len(m.head) < headSize {
				break
			}
			length := binary.BigEndian.Uint32(m.head[1:])
			if length < headSize-1 || length > 1<<30 {
				return nil, errMessage
			}
			m.rest = int(length) - (headSize - 1)
			m.dropping = m.head[0] == notification && m.drops()
			if !m.dropping {
				out = append(out, m.head...)
			}
			m.head = m.head[:0]
		}
		n := min(m.rest, len(in))
		if !m.dropping {
			out = append(out, in[:n]...)
		}
		m.rest, in = m.rest-n, in[n:]
	}
	return out, nil
}
