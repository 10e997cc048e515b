package grpcsession

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TokenKey is the metadata that carries the token.
const TokenKey = "session-token"

// Sessions has the interceptors of a server. Make it with New, and close it after the server.
type Sessions struct {
	b       *bridge.Bridge
	streams streams
}

// New returns the Sessions of a Bridge.
func New(b *bridge.Bridge) *Sessions {
	g := &Sessions{b: b}
	g.streams.off = b.Observe(bridge.Observer{
		SessionDestroy: func(ev bridge.SessionDestroy) { g.streams.cut(ev.SessionID, bridge.ErrSessionGone) },
		SessionSet: func(ev bridge.SessionSet) {
			if ev.Login && !ev.IsNew {
				g.cutReplaced(ev.SessionID)
			}
		},
		Missed: func(bridge.Missed) { g.streams.cutAll(bridge.ErrStoreUnavailable) },
	})
	return g
}

// cutReplaced ends the streams of a session whose token a login has replaced. The event of the login
// may come after streams have begun with the new token.
func (g *Sessions) cutReplaced(sessionID string) {
	for _, st := range g.streams.all(sessionID) {
		if _, err := g.b.PeekCredentials(st.ctx, callOf(st.ctx).credentials); err != nil {
			st.cancel(bridge.ErrTokenRotated)
		}
	}
}

// Close ends the observation of sessions.
func (g *Sessions) Close() { g.streams.off() }

// Unary is a grpc.UnaryServerInterceptor.
func (g *Sessions) Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, _, err := g.open(ctx)
	if err != nil {
		return nil, Status(err)
	}
	answer, err := next(ctx, req)
	return answer, Status(err)
}

// Stream is a grpc.StreamServerInterceptor. The context of a stream ends with its session, and with
// a login to it. Each message from the client is activity of the session, and needs it.
func (g *Sessions) Stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, s, err := g.open(ss.Context())
	if err != nil {
		return Status(err)
	}
	if s == nil {
		return Status(next(srv, &stream{ServerStream: ss, ctx: ctx}))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	st := &stream{ServerStream: ss, ctx: ctx, cancel: cancel, g: g}
	defer g.streams.add(s.ID(), st)()
	if _, err := g.b.Open(ctx, callOf(ctx).credentials); err != nil { // it may have ended before add
		return Status(err)
	}
	err = next(srv, st)
	if cause := context.Cause(ctx); cause != nil && ss.Context().Err() == nil {
		err = cause
	}
	return Status(err)
}

// call is what the context of a call has.
type call struct {
	credentials bridge.Credentials
	session     *bridge.Session
}

type callKey struct{}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// open returns the context of a call, and the session that its token opens; nil without a token.
func (g *Sessions) open(ctx context.Context) (context.Context, *bridge.Session, error) {
	tokens := metadata.ValueFromIncomingContext(ctx, TokenKey)
	if len(tokens) == 0 {
		return ctx, nil, nil
	}
	c := bridge.Credentials{Token: tokens[0]}
	s, err := g.b.Open(ctx, c)
	if err != nil {
		return ctx, nil, err
	}
	return context.WithValue(ctx, callKey{}, call{c, s}), s, nil
}

// Session returns a snapshot of the caller's session, as it was when the call began; nil for a
// caller without a session.
func Session(ctx context.Context) *bridge.Session { return callOf(ctx).session }

// WithSession runs fn on the caller's session, and stores its changes: see Bridge.WithCredentials.
func (g *Sessions) WithSession(ctx context.Context, fn func(ctx context.Context, s *bridge.Session) error) error {
	c := callOf(ctx)
	if c.session == nil {
		return bridge.ErrSessionMissing
	}
	return g.b.WithCredentials(ctx, c.credentials, fn)
}

// Login logs the user in, to the caller's session if it has one. The header of the answer has the
// token for further calls.
func (g *Sessions) Login(ctx context.Context, userID string) error {
	var c bridge.Credentials
	var err error
	if old := callOf(ctx); old.session == nil {
		c, err = g.b.Create(ctx, bridge.NewSession{UserID: userID})
	} else {
		c, err = g.b.LoginCredentials(ctx, old.credentials, userID)
	}
	if err != nil {
		return err
	}
	return grpc.SetHeader(ctx, metadata.Pairs(TokenKey, c.Token))
}

// Status returns the status for an error of a handler. A status stays as it is. The text of an
// unknown error is for the log, not for the client.
func Status(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codeOf(err)
	return status.Error(code, code.String())
}

// httpCodes are the codes for the statuses of bridge.HTTPStatus; Internal for others.
var httpCodes = map[int]codes.Code{
	http.StatusBadRequest:            codes.InvalidArgument,
	http.StatusUnauthorized:          codes.Unauthenticated,
	http.StatusForbidden:             codes.PermissionDenied,
	http.StatusNotFound:              codes.NotFound,
	http.StatusConflict:              codes.Aborted, // again, with the newest token
	http.StatusRequestEntityTooLarge: codes.ResourceExhausted,
	http.StatusUnprocessableEntity:   codes.FailedPrecondition, // Options.BeforeCommit refuses the change
	http.StatusTooManyRequests:       codes.ResourceExhausted,
	http.StatusServiceUnavailable:    codes.Unavailable,
}

func codeOf(err error) codes.Code {
	code, ok := httpCodes[bridge.HTTPStatus(err)]
	switch {
	case !ok:
		return codes.Internal
	case code != codes.Unavailable || errors.Is(err, bridge.ErrStoreUnavailable): // a store has timeouts of its own
		return code
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return code
}
