package terms

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/store"
)

// server is what a node joins. In each term it executes as many requests as the term has in serves.
type server struct {
	t      *testing.T
	group  *background.Group
	life   *Life[*part, string]
	serves []int         // of the terms to come; a later one executes all
	begun  chan struct{} // closed: terms begin
	names  []string      // of all terms

	executed []string // requests, with a sign
	reported []store.ChangeKind
}

type part struct {
	*Term
	requests chan *Request[string]
}

func newServer(t *testing.T, serves ...int) *server {
	s := &server{t: t, group: background.New(), serves: serves, begun: make(chan struct{})}
	s.life = New(Config[*part, string]{
		Store: "teststore", Background: s.group,
		Ready:    func(ctx context.Context, _ string) error { return ctx.Err() },
		OnChange: func(c store.Change) { s.reported = append(s.reported, c.Kind) },
		Open:     func(of *Term) *part { return &part{of, make(chan *Request[string])} },
		Run:      s.run,
		Requests: func(p *part, _ string) chan<- *Request[string] { return p.requests },
	})
	return s
}

// run runs a term.
func (s *server) run(p *part) {
	s.names = append(s.names, p.Name)
	select {
	case <-s.begun:
		s.life.Joined(p.Name, nil)
	case <-p.Ctx.Done():
		return
	}
	left := 1 << 20
	if len(s.serves) > 0 {
		left, s.serves = s.serves[0], s.serves[1:]
	}
	for ; left > 0; left-- {
		select {
		case r := <-p.requests:
			sign := "-"
			if r.Hold {
				sign = "+"
			}
			s.executed = append(s.executed, sign+r.Item)
			r.Done <- nil
		case <-p.Ctx.Done():
			return
		}
	}
}

// begin begins the life, whose terms join at once.
func (s *server) begin() {
	close(s.begun)
	s.life.Begin()
	synctest.Wait()
}

func TestAHoldIsRepeatedInTheNextTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, 1)
		defer s.group.Close()
		s.begin()
		require.NoError(t, s.life.Hold(t.Context(), []string{"a", "b"}), "the term ends between them")
		require.Equal(t, []string{"+a", "+a", "+b"}, s.executed)
		require.Len(t, s.names, 2)
		require.NotEqual(t, s.names[0], s.names[1])
		require.Equal(t, s.names[1], s.life.Name())
		require.Equal(t, s.names, s.life.UsedNames())
	})
}

func TestAReleaseIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, 1, 0)
		defer s.group.Close()
		s.begin()
		require.NoError(t, s.life.Release(t.Context(), []string{"a", "b"}))
		require.Equal(t, []string{"-a"}, s.executed, "the next term holds neither")
		require.NoError(t, s.life.Release(t.Context(), []string{"c"}), "there is no term at the moment")
		require.Equal(t, []string{"-a"}, s.executed)
	})
}

// TestACallWaitsForATerm until its context ends, and its error says why there is none.
func TestACallWaitsForATerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.life.Begin()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.life.Hold(ctx, []string{"a"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "teststore: hold: context deadline exceeded")

		refused := errors.New("refused")
		s.life.Joined(s.names[0], refused)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = s.life.Hold(ctx, []string{"a"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, refused)

		held := make(chan error)
		go func() { held <- s.life.Hold(t.Context(), []string{"a"}) }()
		synctest.Wait()
		close(s.begun)
		require.NoError(t, <-held)
		s.group.Close()
		require.ErrorIs(t, s.life.Hold(t.Context(), []string{"a"}), store.ErrClosed)
	})
}

func TestNoChangeIsReportedAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		defer s.group.Close()
		s.begin()
		s.life.Report(store.Change{Kind: store.ChangeMissed})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.life.Stop(ended, "leave"); err != nil { // the term may be over at once
			require.EqualError(t, err, "teststore: leave: context canceled")
		}
		s.life.Report(store.Change{Kind: store.ChangeEnded})
		require.Equal(t, []store.ChangeKind{store.ChangeMissed}, s.reported)
		require.NoError(t, s.life.Stop(t.Context(), "leave"))
		require.ErrorIs(t, s.life.Hold(t.Context(), []string{"a"}), store.ErrClosed)
	})
}

// TestALifeInAClosedGroup: it has no term, and ends at once.
func TestALifeInAClosedGroup(t *testing.T) {
	s := newServer(t)
	s.group.Close()
	s.life.Begin()
	require.Empty(t, s.life.Name())
	require.Empty(t, s.life.UsedNames())
	require.NoError(t, s.life.Stop(t.Context(), "leave"))
}

// TestUsedNames: of the names under which terms have joined the last ones are known.
func TestUsedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, 0, 0, 0, 0, 0, 0)
		defer s.group.Close()
		s.begin()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, s.names, 7)
		require.Equal(t, s.names[3:], s.life.UsedNames())
		names := slices.Clone(s.names)
		slices.Sort(names)
		require.Len(t, slices.Compact(names), 7)
		for _, name := range names {
			require.Len(t, name, NameSize)
		}
	})
}
