package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// ConnInfo is what is known of an open connection.
type ConnInfo struct {
	ID, SessionID, ClientID string // SessionID is "" while it has no session
	UserID                  string // "" while nobody is logged in
	Addr, UserAgent         string
	ConnectedAt             time.Time
	ActiveAt                time.Time // when the client last sent something
	Received, Sent          Traffic   // of a Link: what Link.Received and Link.Sent were told, and what OnNotify has sent
	Data                    any       // what SetData was given; nil of a connection on another node
	Node                    string    // the node that it is on; "" for this process. A node has another name when the store has lost sight of it meanwhile
}

// ConnFilter picks connections. Its fields combine; the zero ConnFilter picks all. A ClientID is a
// browser that has a cookie, which proves nothing: see GetByClientID.
type ConnFilter struct {
	SessionID, ClientID, UserID, Addr string
	OpenFor                           time.Duration // only those that have been open for at least that long
	QuietFor                          time.Duration // only those whose client has sent nothing for at least that long
}

// Conns yields the open connections that the filter picks, in no order: first those of this process
// that were open at the beginning of the loop, as they are when they are yielded, then those of the
// other nodes on the store, as they say. An error for a negative duration. With other nodes also
// ErrStoreUnavailable and, when all others have been yielded, ErrNodeSilent.
func (b *Bridge) Conns(ctx context.Context, f ConnFilter) iter.Seq2[ConnInfo, error] {
	return func(yield func(ConnInfo, error) bool) {
		picked, err := b.pick(ctx, f)
		if err != nil {
			yield(ConnInfo{}, err)
			return
		}
		for _, l := range picked {
			if ctx.Err() != nil {
				yield(ConnInfo{}, context.Cause(ctx))
				return
			}
			if info, ok := b.connInfo(l); ok && f.picks(&info, time.Now()) && !yield(info, nil) {
				return
			}
		}
		if err := b.connsOfNodes(ctx, &f, yield); err != nil {
			yield(ConnInfo{}, err)
		}
	}
}

// CloseConn closes the connection with a code, 1000, 1008, 1011 to 1013 or 3000 to 4999, and a
// reason of at most 123 bytes of UTF-8. It returns false when there is no such connection on any
// node, or it is being closed already. It doesn't wait for the close to be done. With other nodes
// on the store also ErrStoreUnavailable and ErrNodeSilent.
func (b *Bridge) CloseConn(ctx context.Context, connID string, code int, reason string) (bool, error) {
	if err := checkClose(code, reason); err != nil {
		return false, err
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if l := b.links.Get(connID); l != nil {
		return l.end(code, reason), nil
	}
	n, err := b.closeOnNodes(ctx, To{All: true}, closeCall{ConnID: connID, Code: code, Reason: reason})
	return n > 0, err
}

// SetConnData is SetData of the connection by its name, from anywhere in the program. It returns
// false, and does nothing, when there is no such connection in this process.
func (b *Bridge) SetConnData(connID string, v any) bool {
	l := b.links.Get(connID)
	if l == nil {
		return false
	}
	l.SetData(v)
	return true
}

// CloseConns closes the connections that the filter picks, as CloseConn does, and returns how many
// they were: those that are older than an hour, say, or that have been quiet for ten minutes. The
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

// closeHere is CloseConns for the connections of this process.
func (b *Bridge) closeHere(ctx context.Context, f ConnFilter, code int, reason string) (n int, err error) {
	picked, err := b.pick(ctx, f)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	for _, l := range picked {
		if info, ok := b.connInfo(l); ok && f.picks(&info, now) && l.end(code, reason) {
			n++
		}
	}
	return n, nil
}

// pick returns the links that may be meant.
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

// to returns whose connections may be meant.
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

func (f *ConnFilter) picks(c *ConnInfo, now time.Time) bool {
	return (f.SessionID == "" || c.SessionID == f.SessionID) && (f.ClientID == "" || c.ClientID == f.ClientID) &&
		(f.UserID == "" || c.UserID == f.UserID) && (f.Addr == "" || c.Addr == f.Addr) &&
		now.Sub(c.ConnectedAt) >= f.OpenFor && now.Sub(c.ActiveAt) >= f.QuietFor
}

// connInfo returns what is known of l; false when it is closed.
func (b *Bridge) connInfo(l *Link) (ConnInfo, bool) {
	info := ConnInfo{
		ID: l.entry.ID, ClientID: l.entry.ClientID, Addr: l.entry.Addr, UserAgent: l.userAgent, ConnectedAt: l.ConnectedAt(), ActiveAt: l.b.clock.Time(l.activeSince()),
		Received: l.received.read(), Sent: l.sent.read(), Data: l.Data(),
	}
	var open bool
	info.SessionID, info.UserID, open = b.links.State(l)
	return info, open
}

func (b *Bridge) closeForNode(c closeCall) []int {
	n := 0
	switch {
	case checkClose(c.Code, c.Reason) != nil: // from a version that knows other codes
	case c.Filter != nil:
		n, _ = b.closeHere(context.Background(), *c.Filter, c.Code, c.Reason)
	default:
		if l := b.links.Get(c.ConnID); l != nil && l.end(c.Code, c.Reason) {
			n = 1
		}
	}
	return []int{n}
}
