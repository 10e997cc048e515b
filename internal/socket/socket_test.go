package socket_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/wire"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

func TestMessagesPassBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{Subprotocols: []string{"chat"}})
		require.Equal(t, "chat", s.Subprotocol())
		time.Sleep(time.Minute)
		go say(t, client, "hello")
		require.Equal(t, "hello", s.hear(t))
		require.EqualValues(t, 1, s.received.Load())
		_, active := s.Times()
		require.Equal(t, s.clock.Now(), active)
		go func() { require.NoError(t, s.Write(s.ctx, websocket.MessageBinary, []byte("answer"))) }()
		kind, data, err := client.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, websocket.MessageBinary, kind)
		require.Equal(t, "answer", string(data))
	})
}

func TestRequestThatIsNoHandshakeIsLeftToTheCaller(t *testing.T) {
	c := clock.New()
	defer c.Close()
	acceptor := socket.NewRuntime(c, workers.New(func(any) {})).NewAcceptor(socket.Config{})
	w := httptest.NewRecorder()
	var s server
	status, err := s.Accept(acceptor, &s, w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Error(t, err)
	require.Equal(t, http.StatusUpgradeRequired, status)
	require.Empty(t, w.Body.String())
	require.Empty(t, w.Header().Get("Content-Type"))
}

func TestSilentClientIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := connect(t, socket.Config{Heartbeat: 30 * time.Second})
		go io.Copy(io.Discard, s.peer) //nolint:errcheck // a client that answers no ping
		began := time.Now()
		require.ErrorIs(t, s.cause(), socket.ErrClosed)
		require.InDelta(t, 40*time.Second, time.Since(began), float64(time.Second))
		code, ok := s.LostCode()
		require.True(t, ok)
		require.Equal(t, -1, code)
	})
}

// The Conn reads the pongs, also while its handler doesn't read.
func TestClientThatAnswersPingsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{Heartbeat: 30 * time.Second})
		client.CloseRead(t.Context())
		time.Sleep(time.Hour)
		require.NoError(t, s.ctx.Err())
		require.NoError(t, s.Ping(t.Context()))
		require.Empty(t, s.refused)
		_, ok := s.LostCode()
		require.False(t, ok)
	})
}

func TestIdleAndOldConnectionsAreRefused(t *testing.T) {
	for _, test := range []struct {
		cfg   socket.Config
		why   socket.Reason
		after time.Duration // the client sends a message after 40 s
	}{
		{socket.Config{IdleTimeout: time.Minute}, socket.Idle, 100 * time.Second},
		{socket.Config{MaxAge: time.Minute}, socket.TooOld, time.Minute},
		{socket.Config{IdleTimeout: time.Minute, MaxAge: time.Hour}, socket.Idle, 100 * time.Second},
		{socket.Config{Heartbeat: time.Second, MaxAge: time.Minute}, socket.TooOld, time.Minute},
	} {
		t.Run(string(test.why), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, client := connect(t, test.cfg)
				client.CloseRead(t.Context())
				began := time.Now()
				time.AfterFunc(40*time.Second, func() { say(t, client, "hello") })
				require.Equal(t, test.why, <-s.refused)
				require.InDelta(t, test.after, time.Since(began), float64(time.Second))
				time.Sleep(time.Hour)
				require.Empty(t, s.refused, "once")
			})
		})
	}
}

// A first message is one that is complete, whether or not it is activity.
func TestClientWithoutAFirstMessageIsRefused(t *testing.T) {
	cfg := socket.Config{FirstMessage: 10 * time.Second, Heartbeat: time.Second}
	refused := func(t *testing.T, client func(context.Context, *websocket.Conn), after time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			s, c := connect(t, cfg)
			began := time.Now()
			go client(t.Context(), c)
			require.Equal(t, socket.Silent, <-s.refused)
			require.InDelta(t, after, time.Since(began), float64(100*time.Millisecond))
			time.Sleep(time.Minute)
			require.Empty(t, s.refused, "once")
		})
	}
	t.Run("silent", func(t *testing.T) {
		refused(t, func(ctx context.Context, c *websocket.Conn) { c.CloseRead(ctx) }, 10*time.Second)
	})
	t.Run("a message that never ends", func(t *testing.T) {
		refused(t, func(ctx context.Context, c *websocket.Conn) {
			c.CloseRead(ctx)
			w, err := c.Writer(ctx, websocket.MessageText)
			for err == nil {
				_, err = w.Write(make([]byte, 300))
				time.Sleep(time.Second)
			}
		}, 10*time.Second)
	})
	t.Run("in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, c := connect(t, cfg)
			c.CloseRead(t.Context())
			time.Sleep(9900 * time.Millisecond)
			say(t, c, "quiet")
			time.Sleep(time.Hour)
			require.Empty(t, s.refused)
		})
	})
	t.Run("an application that reads by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, c := connect(t, cfg)
			c.CloseRead(t.Context())
			s.Disown().CloseRead(t.Context())
			time.Sleep(time.Minute)
			require.Empty(t, s.refused)
		})
	})
}

func TestOwnerRefusesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{})
		s.most = 1
		go func() {
			say(t, client, "one")
			say(t, client, "one too many")
		}()
		require.Equal(t, "one", s.hear(t))
		active := s.active.Load()
		time.Sleep(time.Second)
		_, err := s.Read(s.ctx)
		require.ErrorIs(t, err, errActive)
		require.Equal(t, active, s.active.Load())
	})
}

func TestMessagesThatComeTooFastAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{MessagesPerSecond: 2})
		go func() {
			for range 3 {
				say(t, client, "x")
			}
		}()
		s.hear(t)
		s.hear(t)
		require.Empty(t, s.refused)
		active := s.active.Load()
		_, err := s.Read(s.ctx)
		require.ErrorIs(t, err, socket.ErrTooManyMessages)
		require.Equal(t, socket.TooManyMessages, <-s.refused)
		require.Equal(t, active, s.active.Load())
		require.EqualValues(t, 3, s.received.Load())
	})
}

func TestFramesThatComeTooFastAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{FramesPerSecond: 1})
		client.CloseRead(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 6 {
			go func() { _ = client.Ping(ctx) }()
		}
		_, err := s.Read(s.ctx)
		require.ErrorIs(t, err, wire.ErrTooManyFrames)
		require.Equal(t, socket.TooManyFrames, <-s.refused)
	})
}

func TestMessageAfterCloseReadIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{})
		s.CloseRead()
		go say(t, client, "hello")
		require.Equal(t, socket.Unexpected, <-s.refused)
	})
}

func TestMessageBeyondTheLimitEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{MaxMessageBytes: 10})
		client.CloseRead(t.Context())
		go func() { _ = client.Write(t.Context(), websocket.MessageText, make([]byte, 11)) }()
		_, err := s.Read(s.ctx)
		require.ErrorIs(t, err, websocket.ErrMessageTooBig)
		require.ErrorIs(t, s.cause(), socket.ErrClosed)
		code, _ := s.LostCode()
		require.EqualValues(t, websocket.StatusMessageTooBig, code)
		require.EqualValues(t, 1, s.tooLarge.Load())
	})
}

func TestMessagesWithoutALimitAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{})
		long := strings.Repeat("x", 1<<20)
		go say(t, client, long)
		require.Equal(t, long, s.hear(t))
	})
}

func TestEndIsNoticedWhileNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{})
		began := time.Now()
		go client.Close(4321, "bye") //nolint:errcheck // its answer is not the matter
		require.ErrorIs(t, s.cause(), socket.ErrClosed)
		require.LessOrEqual(t, time.Since(began), time.Second)
		code, ok := s.LostCode()
		require.True(t, ok)
		require.Equal(t, 4321, code)
	})
}

func TestMessagesBeforeTheEndAreReadFirst(t *testing.T) {
	for name, reads := range map[string]bool{"by a handler": true, "or are given up": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, client := connect(t, socket.Config{})
				time.Sleep(time.Second) // the Conn reads
				began := time.Now()
				say(t, client, "one")
				say(t, client, "two")
				go client.Close(websocket.StatusNormalClosure, "") //nolint:errcheck // likewise
				time.Sleep(5 * time.Second)
				require.NoError(t, s.ctx.Err())
				if reads {
					require.Equal(t, "one", s.hear(t))
					require.Equal(t, "two", s.hear(t))
					require.NoError(t, s.ctx.Err())
					_, err := s.Read(s.ctx)
					require.EqualValues(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
				}
				require.ErrorIs(t, s.cause(), socket.ErrClosed)
				took := 10 * time.Second
				if reads {
					took = 5 * time.Second
				}
				require.Equal(t, took, time.Since(began))
				time.Sleep(time.Minute) // the grace
			})
		})
	}
}

func TestWriteThatTakesTooLongCutsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{WriteTimeout: 10 * time.Second})
		for range 100 { // one after another is progress
			go func() { require.NoError(t, s.Write(s.ctx, websocket.MessageText, []byte("hello"))) }()
			time.Sleep(time.Second)
			_, _, err := client.Read(t.Context())
			require.NoError(t, err)
		}
		began := time.Now()
		require.Error(t, s.Write(s.ctx, websocket.MessageText, []byte("hello")))
		require.Equal(t, 10*time.Second, time.Since(began))
		require.ErrorIs(t, s.cause(), socket.ErrClosed)
	})
}

func TestContextThatEndsInTheMiddleCutsTheConnection(t *testing.T) {
	enough := errors.New("enough")
	for name, call := range map[string]func(s *server, ctx context.Context) error{
		"read":  func(s *server, ctx context.Context) error { _, err := s.Read(ctx); return err },
		"write": func(s *server, ctx context.Context) error { return s.Write(ctx, websocket.MessageText, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := connect(t, socket.Config{})
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(enough)
				require.ErrorIs(t, call(s, ctx), enough)
				require.NoError(t, s.ctx.Err(), "it had ended before")
				ctx, cancel = context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(enough) })
				require.Error(t, call(s, ctx))
				require.ErrorIs(t, s.cause(), socket.ErrClosed)
			})
		})
	}
}

func TestEndOfItsOwnContextLeavesTheConnectionToTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{})
		read := make(chan error, 1)
		go func() {
			_, err := s.Read(s.ctx)
			read <- err
		}()
		synctest.Wait()
		s.closing.Store(true)
		s.cancel(errors.New("logout"))
		time.Sleep(time.Minute)
		require.Empty(t, read)
		go s.Close(4500, "destroyed")
		_, _, err := client.Read(t.Context())
		var frame websocket.CloseError
		require.ErrorAs(t, err, &frame)
		require.Equal(t, websocket.CloseError{Code: 4500, Reason: "destroyed"}, frame)
		require.ErrorContains(t, <-read, "logout")
	})
}

func TestCloseWaitsForTheClientForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := connect(t, socket.Config{})
		began := time.Now()
		s.Close(4500, "destroyed")
		require.Equal(t, socket.CloseGrace, time.Since(began))
	})
}

func TestDisownedConnectionIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{Heartbeat: time.Hour})
		time.Sleep(time.Second) // the Conn reads
		ws := s.Disown()
		time.Sleep(time.Second)
		go say(t, client, "hello")
		_, data, err := ws.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, "hello", string(data))
		require.Zero(t, s.received.Load())
		go client.CloseNow() //nolint:errcheck // without a close frame
		_, _, err = ws.Read(t.Context())
		require.Error(t, err)
		began := time.Now()
		require.ErrorIs(t, s.cause(), socket.ErrClosed)
		require.LessOrEqual(t, time.Since(began), time.Second)
	})
}

// The Owner decides what is activity, whether or not the handler reads.
func TestOwnerJudgesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := connect(t, socket.Config{IdleTimeout: time.Minute})
		for range 3 {
			time.Sleep(15 * time.Second)
			say(t, client, "quiet")
			m, err := s.Read(s.ctx)
			require.NoError(t, err)
			require.True(t, m.Quiet)
		}
		time.Sleep(15 * time.Second)
		require.Equal(t, socket.Idle, <-s.refused)

		say(t, client, "before")
		say(t, client, "fail")
		synctest.Wait()
		require.Equal(t, "before", s.hear(t))
		_, err := s.Read(s.ctx)
		require.ErrorIs(t, err, errActive)
		require.EqualValues(t, 5, s.received.Load())
	})
}
