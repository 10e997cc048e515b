package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/inbox"
)

// source is a connection whose messages come from the test. A half is a message of which the first
// part has come: its Receive can't be interrupted.
type source struct {
	box                       inbox.Inbox
	messages, halves          chan string
	interrupt, cut            chan struct{}
	refused, reads, mostReads atomic.Int32
	closed                    atomic.Bool
}

func newSource() *source {
	s := &source{messages: make(chan string, 10_000), halves: make(chan string), interrupt: make(chan struct{}, 1), cut: make(chan struct{})}
	s.box.Init(s)
	return s
}

func (s *source) Receive(ctx context.Context) (inbox.Message, error) {
	s.mostReads.Store(max(s.mostReads.Load(), s.reads.Add(1)))
	defer s.reads.Add(-1)
	if s.closed.Load() {
		return inbox.Message{}, io.EOF
	}
	select {
	case text, ok := <-s.messages:
		if !ok {
			return inbox.Message{}, io.EOF
		}
		return message(text), nil
	default:
	}
	select {
	case text, ok := <-s.messages:
		if !ok {
			return inbox.Message{}, io.EOF
		}
		return message(text), nil
	case <-s.halves:
	case <-s.interrupt:
		return inbox.Message{}, inbox.ErrInterrupted
	case <-s.cut:
		return inbox.Message{}, io.ErrClosedPipe
	case <-ctx.Done():
		return inbox.Message{}, ctx.Err()
	}
	select {
	case text := <-s.halves:
		return message(text), nil
	case <-s.cut:
		return inbox.Message{}, io.ErrClosedPipe
	}
}

func message(text string) inbox.Message {
	return inbox.Message{Type: websocket.MessageText, Data: []byte(text)}
}

func (s *source) Interrupt() {
	select {
	case s.interrupt <- struct{}{}:
	default:
	}
}

func (s *source) EndInterrupt() {
	select {
	case <-s.interrupt:
	default:
	}
}
func (s *source) Cut()           { close(s.cut) }
func (s *source) Refuse()        { s.refused.Add(1) }
func (s *source) Open() bool     { return !s.closed.Load() }
func (s *source) Go(read func()) { go read() }

// read reads a message as a handler does.
func (s *source) read(ctx context.Context) (string, error) {
	m, ok, err := s.box.Enter(ctx)
	if ok || err != nil {
		return string(m.Data), err
	}
	defer s.box.Leave()
	m, err = s.Receive(ctx)
	return string(m.Data), err
}

// drain ends the inbox's reading.
func (s *source) drain() { close(s.messages) }

func TestMessagesOfBothReadersKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		defer s.drain()
		go func() {
			for i := range 1000 {
				s.messages <- fmt.Sprint(i)
				if i%3 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
		for i := range 1000 {
			if i%7 == 0 {
				s.box.Watch()
				time.Sleep(5 * time.Millisecond)
			}
			text, err := s.read(t.Context())
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), text)
		}
		require.EqualValues(t, 1, s.mostReads.Load(), "never two reads at once")
	})
}

func TestHandlerInterruptsTheInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		defer s.drain()
		require.True(t, s.box.Watch())
		require.False(t, s.box.Watch(), "it reads already")
		synctest.Wait()
		got := make(chan string)
		go func() { text, _ := s.read(t.Context()); got <- text }()
		synctest.Wait()
		require.EqualValues(t, 1, s.reads.Load(), "the handler's")
		require.False(t, s.box.Watch(), "the handler reads")
		s.messages <- "hello"
		require.Equal(t, "hello", <-got)
		require.True(t, s.box.Watch())
	})
}

func TestHandlerWaitsForTheMessageThatIsHalfRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		defer s.drain()
		s.box.Watch()
		s.halves <- ""
		got := make(chan string)
		go func() { text, _ := s.read(t.Context()); got <- text }()
		synctest.Wait()
		require.EqualValues(t, 1, s.mostReads.Load())
		s.halves <- "whole"
		require.Equal(t, "whole", <-got)
		synctest.Wait()
		require.Zero(t, s.reads.Load(), "the inbox has stopped")
	})
}

func TestHandlerThatGivesUpInTheMiddleOfAMessageCutsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		s.box.Watch()
		s.halves <- ""
		errGaveUp := errors.New("gave up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errGaveUp)
		defer cancel()
		_, err := s.read(ctx)
		require.ErrorIs(t, err, errGaveUp)
		_, err = s.read(t.Context())
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.False(t, s.box.Watch(), "it has ended")
	})
}

// The inbox keeps 64 KiB, to which 64 bytes are added for each message; then the client has to
// wait.
func TestInboxStopsReadingWhenItIsFull(t *testing.T) {
	for name, test := range map[string]struct{ size, kept int }{
		"by count, of empty messages": {0, 1024},
		"by bytes":                    {1000, 62},
		"by one large message":        {100_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource()
				defer s.drain()
				for range test.kept + 10 {
					s.messages <- string(make([]byte, test.size))
				}
				require.True(t, s.box.Watch())
				synctest.Wait()
				require.Len(t, s.messages, 10)
				require.True(t, s.box.Unread())
				require.False(t, s.box.Watch(), "it is full")
				for range test.kept {
					text, err := s.read(t.Context())
					require.NoError(t, err)
					require.Len(t, text, test.size)
				}
				require.False(t, s.box.Unread())
				require.Len(t, s.messages, 10)
				require.True(t, s.box.Watch(), "it has room again")
				synctest.Wait()
			})
		})
	}
}

func TestHandlerGetsWhatCameBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		s.messages <- "last"
		s.drain()
		s.box.Watch()
		synctest.Wait()
		text, err := s.read(t.Context())
		require.NoError(t, err)
		require.Equal(t, "last", text)
		for range 2 {
			_, err = s.read(t.Context())
			require.ErrorIs(t, err, io.EOF)
		}
		require.False(t, s.box.Watch())
		require.True(t, s.box.CloseRead())
	})
}

func TestCloseReadRefusesMessages(t *testing.T) {
	t.Run("one that comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSource()
			defer s.drain()
			require.False(t, s.box.CloseRead())
			s.box.Watch()
			synctest.Wait()
			require.Zero(t, s.refused.Load())
			s.messages <- "unexpected"
			synctest.Wait()
			require.EqualValues(t, 1, s.refused.Load())
			_, err := s.read(t.Context())
			require.ErrorIs(t, err, inbox.ErrReadClosed)
		})
	})
	t.Run("one that waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSource()
			defer s.drain()
			s.messages <- "early"
			s.box.Watch()
			synctest.Wait()
			s.box.CloseRead()
			require.EqualValues(t, 1, s.refused.Load())
			require.False(t, s.box.Unread())
			_, err := s.read(t.Context())
			require.ErrorIs(t, err, inbox.ErrReadClosed)
		})
	})
}

func TestDisownedInboxReadsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		defer s.drain()
		s.box.Watch()
		synctest.Wait()
		require.False(t, s.box.Foreign())
		s.box.Disown()
		synctest.Wait()
		require.Zero(t, s.reads.Load())
		require.True(t, s.box.Foreign())
		require.False(t, s.box.Watch())
	})
}

func TestAwaitWaitsForTheInboxButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		began := time.Now()
		s.box.Await(time.Second)
		require.Zero(t, time.Since(began), "it doesn't read")
		s.box.Watch()
		s.box.Await(time.Second)
		require.Equal(t, time.Second, time.Since(began))
		time.AfterFunc(time.Second, s.drain)
		s.box.Await(time.Minute)
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestPanicOfTheSourceLeavesTheConnectionToTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &panicking{source: newSource()}
		s.box.Init(s)
		require.True(t, s.box.Watch())
		synctest.Wait()
		defer s.drain()
		s.messages <- "still there"
		text, err := s.read(t.Context())
		require.NoError(t, err)
		require.Equal(t, "still there", text)
	})
}

// panicking panics in the inbox's reads.
type panicking struct{ *source }

func (p *panicking) Receive(context.Context) (inbox.Message, error) { panic("a bug") }

func (p *panicking) Go(read func()) {
	go func() {
		defer func() { _ = recover() }()
		read()
	}()
}
