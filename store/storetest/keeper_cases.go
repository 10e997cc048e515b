package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// keepLimits are limits that no case reaches by accident.
var keepLimits = store.KeepLimits{For: time.Hour, Messages: 1000, Bytes: 1 << 20}

// keep keeps messages with these texts.
func (e *env) keep(in store.Store, to store.KeptFor, limits store.KeepLimits, texts ...string) {
	e.Helper()
	for _, text := range texts {
		require.NoError(e, capability[store.Keeper](in).Keep(e.ctx, to, store.KeptMessage{Data: []byte(text)}, limits))
	}
}

func (e *env) kept(to store.KeptFor, after uint64) store.Kept {
	e.Helper()
	kept, err := capability[store.Keeper](e.st).Kept(e.ctx, to, after)
	require.NoError(e, err)
	return kept
}

// requireKept fails unless exactly these texts are kept after the number, each with the number of the
// one before it.
func (e *env) requireKept(to store.KeptFor, after uint64, texts ...string) store.Kept {
	e.Helper()
	kept, got := e.kept(to, after), []string{}
	for i, m := range kept.Messages {
		got = append(got, string(m.Data))
		require.Greater(e, m.Number, m.Prev, "numbers increase")
		if i > 0 {
			require.Equal(e, kept.Messages[i-1].Number, m.Prev, "the number of the one before it")
		}
	}
	require.Equal(e, append([]string{}, texts...), got)
	if n := len(kept.Messages); n > 0 {
		require.Equal(e, kept.Messages[n-1].Number, kept.Last, "the last number of the log")
	}
	return kept
}

// keptFor returns a session, which exists, and a user.
func (e *env) keptFor() []store.KeptFor {
	e.Helper()
	return []store.KeptFor{{SessionID: e.create().ID}, {UserID: "ada"}}
}

func keeperCases() []testCase {
	return []testCase{
		{
			"in order",
			"Kept returns the messages that are still kept and have a greater number than after, in order, and the first " +
				"and the last number of the log.",
			func(e *env) {
				for _, to := range e.keptFor() {
					first := e.kept(to, 0)
					require.Empty(e, first.Messages)
					require.InDelta(e, time.Now().UnixMicro(), first.Last, 1e8, "a new log begins with the time")
					require.Equal(e, first.First, first.Last)
					require.Equal(e, first, e.kept(to, 0), "it exists from then on")
					var texts []string
					for i := range 30 {
						texts = append(texts, fmt.Sprint(i))
					}
					e.keep(e.st, to, keepLimits, texts...)
					all := e.requireKept(to, 0, texts...)
					require.Equal(e, first.Last, all.Messages[0].Prev, "nothing is missing between")
					require.Equal(e, first.First, all.First)
					e.requireKept(to, all.Messages[9].Number, texts[10:]...)
					e.requireKept(to, all.Last)
					e.requireKept(to, all.Last+1000)
				}
				to := store.KeptFor{UserID: "bob"}
				e.keep(e.st, to, keepLimits, "1")
				begun := e.requireKept(to, 0, "1")
				require.Zero(e, begun.First, "it begins with a message")
				require.Zero(e, begun.Messages[0].Prev)
			},
		},
		{"contents", "A message is text or binary, and has any bytes.", func(e *env) {
			keeper, to := capability[store.Keeper](e.st), store.KeptFor{UserID: "ada"}
			data := []byte("a\x00\xff\n\x1e")
			m := store.KeptMessage{Binary: true, Data: data, Number: 7, Prev: 6}
			require.NoError(e, keeper.Keep(e.ctx, to, m, keepLimits))
			data[0] = 'b'
			require.NoError(e, keeper.Keep(e.ctx, to, store.KeptMessage{}, keepLimits))
			kept := e.kept(to, 0).Messages
			require.Len(e, kept, 2)
			require.True(e, kept[0].Binary)
			require.Equal(e, []byte("a\x00\xff\n\x1e"), kept[0].Data, "a copy")
			require.False(e, kept[1].Binary)
			require.Empty(e, kept[1].Data)
			if len(kept[0].Data) > 0 {
				kept[0].Data[0] = 'c'
			}
			require.Equal(e, byte('a'), e.kept(to, 0).Messages[0].Data[0], "a copy")
		}},
		{"limits", "Keep drops the oldest messages beyond the limits. The last message is kept in any case.", func(e *env) {
			for _, to := range e.keptFor() {
				few := keepLimits
				few.Messages = 3
				e.keep(e.st, to, few, "1", "2", "3", "4", "5")
				kept := e.requireKept(to, 0, "3", "4", "5")
				require.NotZero(e, kept.Messages[0].Prev, "a reader learns that something is missing")
				small, long := keepLimits, strings.Repeat("x", 4000)
				small.Bytes = 10_000
				e.keep(e.st, to, small, long, long)
				e.requireKept(to, 0, "3", "4", "5", long, long)
				e.keep(e.st, to, small, long)
				e.requireKept(to, 0, long, long)
				long = strings.Repeat("x", 11_000)
				e.keep(e.st, to, small, long)
				e.requireKept(to, 0, long)
				e.keep(e.st, to, small, "1")
				e.requireKept(to, 0, "1")
			}
		}},
		{"time", "A message is kept until its time is over.", func(e *env) {
			for _, to := range e.keptFor() {
				short := keepLimits
				short.For = 50 * time.Millisecond
				e.keep(e.st, to, keepLimits, "1")
				e.keep(e.st, to, short, "2")
				e.keep(e.st, to, keepLimits, "3")
				over := func() bool { return len(e.kept(to, 0).Messages) == 2 }
				require.Eventually(e, over, notificationTimeout, time.Millisecond)
				kept := e.kept(to, 0).Messages
				require.Equal(e, "1", string(kept[0].Data))
				require.Equal(e, "3", string(kept[1].Data))
				require.Greater(e, kept[1].Prev, kept[0].Number, "a reader learns that something is missing")
			}
			alone, to := keepLimits, store.KeptFor{UserID: "bob"}
			alone.For = 50 * time.Millisecond
			e.keep(e.st, to, alone, "1")
			last := e.kept(to, 0).Last
			require.Eventually(e, func() bool { return len(e.kept(to, 0).Messages) == 0 }, notificationTimeout, time.Millisecond)
			require.Equal(e, last, e.kept(to, 0).Last, "the log exists for at least a week")
		}},
		{"apart", "The messages for one session or user form a log.", func(e *env) {
			all := append(e.keptFor(), e.keptFor()[0], store.KeptFor{UserID: "Ada"}, store.KeptFor{UserID: e.create().ID})
			for i, to := range all {
				e.keep(e.st, to, keepLimits, fmt.Sprint(i))
			}
			for i, to := range all {
				e.requireKept(to, 0, fmt.Sprint(i))
			}
		}},
		{"ended", "ErrNotFound: the session doesn't exist. What is kept for it is dropped when it ends.", func(e *env) {
			rec, expired := e.create(), e.create(func(rec *store.Record) { rec.Expires = e.base.Add(time.Minute) })
			keeper := capability[store.Keeper](e.st)
			gone := []store.KeptFor{{SessionID: rec.ID}}
			e.keep(e.st, gone[0], keepLimits, "1")
			_, err := e.st.Destroy(e.ctx, rec.ID)
			require.NoError(e, err)
			if sweeper, ok := store.As[store.Sweeper](e.st); ok {
				gone = append(gone, store.KeptFor{SessionID: expired.ID})
				e.keep(e.st, gone[1], keepLimits, "1")
				_, err = sweeper.Sweep(e.ctx, expired.Expires, 10)
				require.NoError(e, err)
			}
			for _, to := range append(gone, store.KeptFor{SessionID: newID()}) {
				require.Empty(e, e.kept(to, 0).Messages)
				require.ErrorIs(e, keeper.Keep(e.ctx, to, store.KeptMessage{}, keepLimits), store.ErrNotFound)
			}
		}},
		{"at once", "Numbers increase: each message has one of its own.", func(e *env) {
			to, keeper := store.KeptFor{UserID: "ada"}, capability[store.Keeper](e.st)
			const writers, each = 8, 25
			errs := make([]error, writers)
			inParallel(writers, func(i int) {
				for range each {
					if err := keeper.Keep(e.ctx, to, store.KeptMessage{Data: []byte{'x'}}, keepLimits); err != nil {
						errs[i] = err
					}
				}
			})
			for _, err := range errs {
				require.NoError(e, err)
			}
			kept := e.kept(to, 0).Messages
			require.Len(e, kept, writers*each)
			for i := 1; i < len(kept); i++ {
				require.Equal(e, kept[i-1].Number, kept[i].Prev)
			}
		}},
		{
			"announced",
			"The nodes that hold to.Topic() as a client are notified with ChangeClient and no ID, perhaps more than once; " +
				"the one through which it was kept isn't notified.",
			func(e *env) {
				if !is[store.Watcher](e.st) {
					return // its sentence doesn't apply
				}
				a, b := e.watch(), e.watch()
				for _, to := range e.keptFor() {
					a.hold("", to.Topic())
					b.hold("", to.Topic())
					for range 3 {
						e.keep(a.Node, to, keepLimits, "1")
						b.requireAnnounced(a, to)
					}
					require.Zero(e, a.announced(b, to))
					require.NoError(e, b.Release(e.ctx, "", to.Topic()))
					e.keep(a.Node, to, keepLimits, "1")
					require.Zero(e, b.announced(a, to))
					e.keep(e.st, to, keepLimits, "1")
					a.requireAnnounced(b, to)
					e.requireKept(to, 0, "1", "1", "1", "1", "1")
				}
			},
		},
	}
}

// requireAnnounced fails unless the topic is reported before a change that follows through another
// node, or after it: notifications of different sessions may have no common order.
func (n *nodeOf) requireAnnounced(by *nodeOf, to store.KeptFor) {
	n.e.Helper()
	if n.announced(by, to) == 0 {
		require.Equal(n.e, store.Change{Kind: store.ChangeClient, ClientID: to.Topic()}, n.hear())
	}
}

// announced returns how often the topic is reported before a change that follows through another
// node. It fails if another change is.
func (n *nodeOf) announced(by *nodeOf, to store.KeptFor) (times int) {
	n.e.Helper()
	marker := n.e.create()
	n.hold(marker.ID, "")
	by.end(marker.ID, "marker")
	for {
		ch := n.hear()
		if ch.Kind == store.ChangeEnded {
			require.Equal(n.e, marker.ID, ch.ID)
			return times
		}
		require.Equal(n.e, store.Change{Kind: store.ChangeClient, ClientID: to.Topic()}, ch)
		times++
	}
}
