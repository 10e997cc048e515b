package activity_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const touchInterval = time.Minute

// node is a process with its store, and what it remembers.
type node struct {
	*activity.Activity
	st     store.Store
	active map[string]time.Time
	conns  map[string]int
	others []activity.Item // the answers of other nodes
	err    error           // of asking them
	asked  []activity.Question
}

func newNode(st store.Store) *node {
	n := &node{st: st, active: map[string]time.Time{}, conns: map[string]int{}}
	n.Activity = activity.New(activity.Config{
		Gateway:       gateway.New(st, gateway.Config{TouchInterval: touchInterval, StoreTimeout: time.Second}),
		TouchInterval: touchInterval,
		StoreTimeout:  time.Second,
		Since: func(since time.Time, each func(string, time.Time)) {
			for id, at := range n.active {
				if !at.Before(since) {
					each(id, at.Add(-1)) // an earlier one is ignored
					each(id, at)
				}
			}
		},
		Conns:   func() map[string]int { return n.conns },
		ConnsOf: func(id string) int { return n.conns[id] },
		Ask: func(_ context.Context, q activity.Question, each func(activity.Item)) error {
			n.asked = append(n.asked, q)
			for _, i := range n.others {
				each(i)
			}
			return n.err
		},
	})
	return n
}

// store stores a session that was recorded as active ago.
func (n *node) store(t *testing.T, id, userID string, ago time.Duration) {
	t.Helper()
	at := gateway.Now().Add(-ago)
	_, err := n.st.Set(t.Context(), store.Record{
		ID: id, ClientID: "client of " + id, UserID: userID, Data: []byte("{}"), Created: at, Seen: at,
	})
	require.NoError(t, err)
}

func ids(t *testing.T, all iter.Seq2[store.Record, error]) (ids []string, err error) {
	t.Helper()
	for rec, e := range all {
		if e != nil {
			require.NoError(t, err, "an error is the last item")
			err = e
			continue
		}
		ids = append(ids, rec.ID)
	}
	return ids, err
}

func ago(d time.Duration) *time.Duration { return &d }

func TestActivityThatIsNotRecordedYetCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(livestore.New())
		n.store(t, "recorded", "ann", 10*time.Second)
		n.store(t, "here", "ann", 50*time.Second)
		n.store(t, "elsewhere", "bob", 50*time.Second)
		n.store(t, "quiet", "eve", 50*time.Second)
		n.active["here"] = time.Now().Add(-2 * time.Second)
		n.others = []activity.Item{{SessionID: "elsewhere", Ago: ago(time.Second)}, {SessionID: "recorded", N: 2}}
		n.conns["recorded"] = 1

		found, err := ids(t, n.Sessions(t.Context(), activity.Filter{ActiveWithin: 20 * time.Second}))
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"recorded", "here", "elsewhere"}, found)
		for rec, err := range n.Sessions(t.Context(), activity.Filter{SessionID: "here", ActiveWithin: 20 * time.Second}) {
			require.NoError(t, err)
			require.Equal(t, time.Now().Add(-2*time.Second).UTC(), rec.Seen, "the latest that is known")
		}
		totals, err := n.Count(t.Context(), 20*time.Second)
		require.NoError(t, err)
		require.Equal(t, activity.Totals{Users: 2, Sessions: 3, Conns: 3}, totals)
	})
}

func TestALongerTimeIsThatOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(livestore.New())
		n.store(t, "old", "", 2*time.Hour)
		n.store(t, "recorded", "", 50*time.Minute)
		n.active["old"] = time.Now()
		found, err := ids(t, n.Sessions(t.Context(), activity.Filter{ActiveWithin: time.Hour}))
		require.NoError(t, err)
		require.Equal(t, []string{"recorded"}, found)
		require.Empty(t, n.asked, "no node is asked for a list")
		totals, err := n.Count(t.Context(), time.Hour)
		require.NoError(t, err)
		require.Equal(t, activity.Totals{Sessions: 1}, totals)
		require.Len(t, n.asked, 1, "each is asked for its connections")
	})
}

func TestSessionsAreFilteredAndTheLastActiveComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(livestore.New())
		n.store(t, "1", "ann", 3*time.Minute)
		n.store(t, "2", "bob", 2*time.Minute)
		n.store(t, "3", "ann", time.Minute)
		for _, c := range []struct {
			activity.Filter
			found []string
		}{
			{activity.Filter{}, []string{"3", "2", "1"}},
			{activity.Filter{UserID: "ann"}, []string{"3", "1"}},
			{activity.Filter{ClientID: "client of 2"}, []string{"2"}},
			{activity.Filter{ClientID: "client of 2", UserID: "ann"}, nil},
			{activity.Filter{SessionID: "2"}, []string{"2"}},
			{activity.Filter{SessionID: "2", UserID: "ann"}, nil},
			{activity.Filter{SessionID: "none"}, nil},
			{activity.Filter{SessionID: "2", ActiveWithin: 90 * time.Second}, nil},
			{activity.Filter{ActiveWithin: 150 * time.Second}, []string{"3", "2"}},
		} {
			found, err := ids(t, n.Sessions(t.Context(), c.Filter))
			require.NoError(t, err)
			require.Equal(t, c.found, found, c.Filter)
		}
		for rec, err := range n.Sessions(t.Context(), activity.Filter{}) {
			require.NoError(t, err)
			require.Equal(t, "3", rec.ID)
			break
		}
	})
}

func TestWithoutANodesAnswerTheOthersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(livestore.New())
		n.store(t, "1", "ann", time.Second)
		n.err = cluster.ErrSilent
		for _, f := range []activity.Filter{{ActiveWithin: touchInterval}, {ActiveWithin: touchInterval, SessionID: "1"}} {
			found, err := ids(t, n.Sessions(t.Context(), f))
			require.ErrorIs(t, err, cluster.ErrSilent)
			require.Equal(t, []string{"1"}, found)
		}
		totals, err := n.Count(t.Context(), time.Second)
		require.ErrorIs(t, err, cluster.ErrSilent)
		require.Equal(t, activity.Totals{Users: 1, Sessions: 1}, totals)

		n.err = gateway.ErrUnavailable
		found, err := ids(t, n.Sessions(t.Context(), activity.Filter{ActiveWithin: touchInterval}))
		require.ErrorIs(t, err, gateway.ErrUnavailable)
		require.Empty(t, found)
		_, err = n.Count(t.Context(), time.Second)
		require.ErrorIs(t, err, gateway.ErrUnavailable)
	})
}

func TestAnAnswerHasConnectionsAndUnrecordedActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(livestore.New())
		n.conns["1"] = 2
		n.active["1"] = time.Now().Add(-3 * time.Second)
		n.active["2"] = time.Now().Add(time.Second) // as another clock may have it
		require.ElementsMatch(t, []activity.Item{{SessionID: "1", N: 2}}, n.Answer(activity.Question{}))
		require.ElementsMatch(t, []activity.Item{
			{SessionID: "1", N: 2},
			{SessionID: "1", Ago: ago(3 * time.Second)},
			{SessionID: "2", Ago: ago(0)},
		}, n.Answer(activity.Question{Within: touchInterval}))
		require.Len(t, n.Answer(activity.Question{Within: touchInterval + 1}), 1, "the store has the rest")
	})
}

// bare is a store without an index.
type bare struct{ store.Store }

func TestAStoreThatCannotListIsUnsupported(t *testing.T) {
	n := newNode(bare{livestore.New()})
	n.store(t, "1", "", 0)
	_, err := ids(t, n.Sessions(t.Context(), activity.Filter{}))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	found, err := ids(t, n.Sessions(t.Context(), activity.Filter{SessionID: "1"}))
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, found)
	_, err = n.Count(t.Context(), time.Second)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
