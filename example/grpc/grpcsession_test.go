package grpcsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sessionbridge/sessionbridge/bridge"
	grpcsession "github.com/sessionbridge/sessionbridge/example/grpc"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type text = wrapperspb.StringValue

// service is written by hand, where a real one is generated.
func service(g *grpcsession.Sessions) *grpc.ServiceDesc {
	unary := func(name string, do func(ctx context.Context, in string) (string, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(
			_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor,
		) (any, error) {
			in := new(text)
			if err := decode(in); err != nil {
				return nil, err
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{}, func(ctx context.Context, req any) (any, error) {
				out, err := do(ctx, req.(*text).Value)
				return wrapperspb.String(out), err
			})
		}}
	}
	visits := bridge.NewKey[int]("visits")
	return &grpc.ServiceDesc{
		ServiceName: "shop",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			unary("Login", func(ctx context.Context, user string) (string, error) { return "", g.Login(ctx, user) }),
			unary("Who", func(ctx context.Context, _ string) (string, error) {
				if s := grpcsession.Session(ctx); s != nil {
					return s.UserID(), nil
				}
				return "a guest", nil
			}),
			unary("Visit", func(ctx context.Context, _ string) (string, error) {
				return "", g.WithSession(ctx, func(_ context.Context, s *bridge.Session) error {
					n, _ := visits.Get(s)
					visits.Set(s, n+1)
					return nil
				})
			}),
			unary("Logout", func(ctx context.Context, _ string) (string, error) {
				return "", g.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { s.Logout(); return nil })
			}),
		},
		Streams: []grpc.StreamDesc{
			{StreamName: "Echo", ServerStreams: true, ClientStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
				for {
					in := new(text)
					if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
						return nil
					} else if err != nil {
						return err
					}
					if err := ss.SendMsg(in); err != nil {
						return err
					}
				}
			}},
			{StreamName: "News", ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
				if err := ss.SendMsg(wrapperspb.String("subscribed")); err != nil {
					return err
				}
				<-ss.Context().Done()
				return ss.Context().Err()
			}},
		},
	}
}

// client calls a server with a token, "" for none.
type client struct {
	t     *testing.T
	conn  *grpc.ClientConn
	token string
}

// serve starts a server, and returns a client without a token.
func serve(t *testing.T) (*bridge.Bridge, *client) {
	t.Helper()
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{make([]byte, 32)}})
	require.NoError(t, err)
	g := grpcsession.New(b)
	server := grpc.NewServer(grpc.UnaryInterceptor(g.Unary), grpc.StreamInterceptor(g.Stream))
	server.RegisterService(service(g), nil)
	listener := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-served)
		g.Close()
		require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context())))
	})
	return b, &client{t: t, conn: conn}
}

func (c *client) context() context.Context {
	if c.token == "" {
		return c.t.Context()
	}
	return metadata.AppendToOutgoingContext(c.t.Context(), grpcsession.TokenKey, c.token)
}

// call returns the answer, and keeps the token that comes with it.
func (c *client) call(method, in string) (string, codes.Code) {
	c.t.Helper()
	var header metadata.MD
	out := new(text)
	err := c.conn.Invoke(c.context(), "/shop/"+method, wrapperspb.String(in), out, grpc.Header(&header))
	if tokens := header.Get(grpcsession.TokenKey); len(tokens) > 0 {
		c.token = tokens[0]
	}
	return out.Value, status.Code(err)
}

func (c *client) mustCall(method, in string) string {
	c.t.Helper()
	out, code := c.call(method, in)
	require.Equal(c.t, codes.OK, code)
	return out
}

// open opens a stream.
func (c *client) open(method string) grpc.ClientStream {
	c.t.Helper()
	s, err := c.conn.NewStream(c.context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/shop/"+method)
	require.NoError(c.t, err)
	return s
}

func hear(s grpc.ClientStream) (string, codes.Code) {
	out := new(text)
	err := s.RecvMsg(out)
	return out.Value, status.Code(err)
}

func TestCallsHaveTheSessionOfTheirToken(t *testing.T) {
	b, c := serve(t)
	require.Equal(t, "a guest", c.mustCall("Who", ""))
	_, code := c.call("Visit", "")
	require.Equal(t, codes.Unauthenticated, code, "there is no session to change")
	c.mustCall("Login", "ada")
	require.Equal(t, "ada", c.mustCall("Who", ""))
	c.mustCall("Visit", "")
	c.mustCall("Visit", "")
	s, err := b.Open(t.Context(), bridge.Credentials{Token: c.token})
	require.NoError(t, err)
	n, _ := s.Get("visits")
	require.EqualValues(t, 2, n)

	thief := &client{t: t, conn: c.conn, token: c.token}
	c.mustCall("Login", "ada") // again: the session goes on with another token
	require.NotEqual(t, thief.token, c.token)
	_, code = thief.call("Who", "")
	require.Equal(t, codes.Aborted, code)
	forger := &client{t: t, conn: c.conn, token: "A" + c.token[1:]}
	_, code = forger.call("Who", "")
	require.Equal(t, codes.Unauthenticated, code)
	_, code = c.call("Login", "")
	require.Equal(t, codes.InvalidArgument, code)
	c.mustCall("Logout", "")
	_, code = c.call("Who", "")
	require.Equal(t, codes.Unauthenticated, code)
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	b, c := serve(t)
	_, code := hear((&client{t: t, conn: c.conn, token: "forged"}).open("Echo"))
	require.Equal(t, codes.Unauthenticated, code)
	guest := c.open("Echo")
	c.mustCall("Login", "ada")
	echo, news := c.open("Echo"), c.open("News")
	require.NoError(t, news.SendMsg(wrapperspb.String("")))
	for _, s := range []grpc.ClientStream{guest, echo} {
		require.NoError(t, s.SendMsg(wrapperspb.String("hello")))
		out, code := hear(s)
		require.Equal(t, codes.OK, code)
		require.Equal(t, "hello", out)
	}
	out, _ := hear(news)
	require.Equal(t, "subscribed", out)

	n, err := b.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, s := range []grpc.ClientStream{echo, news} {
		_ = s.SendMsg(wrapperspb.String("still there?")) // a handler that waits for a message gets one
		_, code := hear(s)
		require.Equal(t, codes.Unauthenticated, code)
	}
	require.NoError(t, guest.CloseSend())
	require.ErrorIs(t, guest.RecvMsg(new(text)), io.EOF)
}

func TestStreamsEndWithALogin(t *testing.T) {
	_, c := serve(t)
	c.mustCall("Login", "ada")
	news := c.open("News")
	require.NoError(t, news.SendMsg(wrapperspb.String("")))
	_, code := hear(news)
	require.Equal(t, codes.OK, code)
	c.mustCall("Login", "ada")
	_, code = hear(news)
	require.Equal(t, codes.Aborted, code)
}

func TestStatus(t *testing.T) {
	require.NoError(t, grpcsession.Status(nil))
	of := status.Error(codes.DataLoss, "the handler's own")
	require.Equal(t, of, grpcsession.Status(of))
	for want, errs := range map[codes.Code][]error{
		codes.InvalidArgument:    {bridge.ErrUserID},
		codes.Unauthenticated:    {bridge.ErrSessionMissing, bridge.ErrCredentials, bridge.ErrAuthAge},
		codes.PermissionDenied:   {bridge.ErrTooManySessions},
		codes.NotFound:           {bridge.ErrConnMissing},
		codes.Aborted:            {bridge.ErrTokenRotated, bridge.ErrConflict},
		codes.ResourceExhausted:  {bridge.ErrSessionTooLarge, bridge.ErrTooManyConns},
		codes.FailedPrecondition: {bridge.ErrRefused},
		codes.Canceled:           {context.Canceled},
		codes.DeadlineExceeded:   {context.DeadlineExceeded},
		codes.Unavailable: {
			bridge.ErrStoreUnavailable, bridge.ErrShutdown,
			fmt.Errorf("%w: %w", bridge.ErrStoreUnavailable, context.DeadlineExceeded),
		},
		codes.Internal: {errors.New("the database says: secret"), bridge.ErrNoCookies},
	} {
		for _, err := range errs {
			is := status.Convert(grpcsession.Status(fmt.Errorf("a handler: %w", err)))
			require.Equal(t, want, is.Code(), err)
			require.Equal(t, want.String(), is.Message())
		}
	}
}
