package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// ConnInfo describes an open connection.
type ConnInfo struct {
	ID, SessionID, ClientID string // SessionID is "" while it has no session
	UserID                  string // "" while no user is logged in
	Addr, UserAgent         string
	ConnectedAt             time.Time
	ActiveAt                time.Time // of the client's last activity
	Received, Sent          Traffic   // of a Link: as counted by Link.Received, Link.Sent and OnNotify
	Data                    any       // the value of SetData; nil if the connection is on another node
	Node                    string    // "" for this process; a node is renamed when the store loses contact with it
}

// ConnFilter selects connections that match all its fields; the zero ConnFilter matches every one.
// A ClientID stands for a browser that has a cookie, which proves nothing: see GetByClientID.
type ConnFilter struct {
	SessionID, ClientID, UserID, Addr string
	OpenFor                           time.Duration // at least that long
	QuietFor                          time.Duration // without a message from the client, at least that long
}

// Conns yields the open connections that match the filter, in no order: first those of this process
// that were open when the loop began, in their current state, then those of other nodes. A negative
// duration is an error. With other nodes also ErrStoreUnavailable and, last, ErrNodeSilent.
func (b *Bridge) Conns(ctx context.Context, f ConnFilter) iter.Seq2[ConnInfo, error] {
	return func(yield func(ConnInfo, error) bool) {
		picked, err := b.pick(ctx, f)
		for _, l := range picked {
			if err = context.Cause(ctx); err != nil {
				break
			}
			if info, ok := b.match(l, &f); ok && !yield(info, nil) {
				return
			}
		}
		if err == nil {
			err = b.connsOfNodes(ctx, &f, yield)
		}
		if err != nil {
			yield(ConnInfo{}, err)
		}
	}
}

// CloseConn starts to close the connection with a code, 1000, 1008, 1011 to 1013 or 3000 to 4999,
// and a reason of at most 123 bytes of UTF-8. It returns false if there is none, or its close has
// begun. With other nodes on the store also ErrStoreUnavailable and ErrNodeSilent.
func (b *Bridge) CloseConn(ctx context.Context, connID string, code int, reason string) (bool, error) {
	if err := cmp.Or(checkClose(code, reason), context.Cause(ctx)); err != nil {
		return false, err
	}
	if l := b.links.Get(connID); l != nil {
		return l.end(code, reason), nil
	}
	n, err := b.closeOnNodes(ctx, To{All: true}, closeCall{ConnID: connID, Code: code, Reason: reason})
	return n > 0, err
}

// CloseConns starts to close the connections that match the filter, as CloseConn does, and returns
// how many: those that are older than an hour, say, or that have been quiet for ten minutes. The
// zero ConnFilter is an error here. Other nodes take part as with CloseConn.
func (b *Bridge) CloseConns(ctx context.Context, f ConnFilter, code int, reason string) (int, error) {
	if err := checkClose(code, reason); err != nil {
		return 0, err
	}
	if f == (ConnFilter{}) {
		return 0, errors.New("bridge: CloseConns: the filter is empty, and would close every connection; Shutdown does that")
	}
	n, err := b.closeHere(ctx, f, code, reason)
	if err != nil {
		return n, err
	}
	elsewhere, err := b.closeOnNodes(ctx, f.to(), closeCall{Filter: &f, Code: code, Reason: reason})
	return n + elsewhere, err
}

// SetConnData is SetData of the connection with the ID; false if this process has none.
func (b *Bridge) SetConnData(connID string, v any) bool {
	l := b.links.Get(connID)
	if l == nil {
		return false
	}
	l.SetData(v)
	return true
}

// closeHere is CloseConns for the connections of this process.
func (b *Bridge) closeHere(ctx context.Context, f ConnFilter, code int, reason string) (n int, err error) {
	picked, err := b.pick(ctx, f)
	for _, l := range picked {
		if _, ok := b.match(l, &f); ok && l.end(code, reason) {
			n++
		}
	}
	return n, err
}

// closeForNode is CloseConn or CloseConns of another node.
func (b *Bridge) closeForNode(c closeCall) []int {
	n := 0
	switch {
	case checkClose(c.Code, c.Reason) != nil: // another version may have other codes
	case c.Filter != nil:
		n, _ = b.closeHere(context.Background(), *c.Filter, c.Code, c.Reason)
	default:
		if l := b.links.Get(c.ConnID); l != nil && l.end(c.Code, c.Reason) {
			n = 1
		}
	}
	return []int{n}
}

// pick returns the links that may match the filter.
func (b *Bridge) pick(ctx context.Context, f ConnFilter) ([]*Link, error) {
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case f.OpenFor < 0:
		return nil, fmt.Errorf("bridge: ConnFilter.OpenFor: %v is negative", f.OpenFor)
	case f.QuietFor < 0:
		return nil, fmt.Errorf("bridge: ConnFilter.QuietFor: %v is negative", f.QuietFor)
	}
	to := f.to()
	if to.All && f.Addr != "" {
		if from, known := b.links.FromAddr(f.Addr); known {
			return from, nil
		}
	}
	return b.linksOf(to), nil
}

// to returns a To that selects all connections that match.
func (f *ConnFilter) to() To {
	switch {
	case f.SessionID != "":
		return To{SessionID: f.SessionID}
	case f.ClientID != "":
		return To{ClientID: f.ClientID}
	case f.UserID != "":
		return To{UserID: f.UserID}
	}
	return To{All: true}
}

// match returns the state of l; false if it is closed or doesn't match the filter.
func (b *Bridge) match(l *Link, f *ConnFilter) (c ConnInfo, ok bool) {
	c = ConnInfo{
		ID: l.entry.ID, ClientID: l.entry.ClientID, Addr: l.entry.Addr, UserAgent: l.userAgent,
		ConnectedAt: l.ConnectedAt(), ActiveAt: b.clock.Time(l.activeSince()),
		Received: l.received.read(), Sent: l.sent.read(), Data: l.Data(),
	}
	c.SessionID, c.UserID, ok = b.links.State(l)
	return c, ok && (f.SessionID == "" || c.SessionID == f.SessionID) &&
		(f.ClientID == "" || c.ClientID == f.ClientID) && (f.UserID == "" || c.UserID == f.UserID) &&
		(f.Addr == "" || c.Addr == f.Addr) && time.Since(c.ConnectedAt) >= f.OpenFor && time.Since(c.ActiveAt) >= f.QuietFor
}
