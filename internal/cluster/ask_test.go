package cluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/store"
)

var everyone = cluster.Audience{All: true}

// upTo answers with the numbers below the one that is asked for.
func upTo(q *cluster.Question) {
	cluster.Answer(q, func(n int) []int {
		items := make([]int, n)
		for i := range items {
			items[i] = i
		}
		return items
	})
}

// ask asks for the numbers below n, and returns those of each node.
func ask(ctx context.Context, m *member, to cluster.Audience, n any) (items map[string][]int, err error) {
	items = make(map[string][]int)
	err = cluster.Ask(ctx, m.Node, to, "numbers", n, nil, func(from string, item int) bool {
		items[from] = append(items[from], item)
		return true
	})
	return items, err
}

// joinThree returns three members that answer with upTo.
func joinThree(t *testing.T) [3]*member {
	b := &bus{}
	three := [3]*member{join(t, b), join(t, b), join(t, b)}
	for _, m := range three {
		m.asked = upTo
	}
	return three
}

func TestAnAnswerComesInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		for _, many := range []int{0, 1, 256, 257, 512, 1000} {
			items, err := ask(t.Context(), three[0], everyone, many)
			require.NoError(t, err)
			for _, node := range []string{"node1", "node2"} {
				require.Len(t, items[node], many)
				for i, item := range items[node] {
					require.Equal(t, i, item)
				}
			}
			require.NotContains(t, items, "node0", "it doesn't ask itself")
		}
	})
}

// The callback may end the question at any time.
func TestAskEndsWithItsCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[2].asked = func(*cluster.Question) {} // doesn't answer
		n := 0
		start := time.Now()
		err := cluster.Ask(t.Context(), three[0].Node, everyone, "numbers", 1000, nil, func(string, int) bool {
			n++
			return n < 300
		})
		require.NoError(t, err)
		require.Equal(t, 300, n)
		require.Zero(t, time.Since(start))
		items, err := ask(t.Context(), three[1], cluster.Audience{}, 1)
		require.NoError(t, err)
		require.Empty(t, items, "the zero Audience is no node")
	})
}

func TestOnlySubscribersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].Retain(session)
		three[2].Retain(client)
		require.NoError(t, three[1].Subscribe(t.Context(), "s", ""))
		require.NoError(t, three[2].Subscribe(t.Context(), "", "c"))
		for _, c := range []struct {
			to   cluster.Audience
			want []string
		}{
			{cluster.Audience{Sessions: []string{"s"}}, []string{"node1"}},
			{cluster.Audience{Clients: []string{"c"}}, []string{"node2"}},
			{cluster.Audience{Sessions: []string{"x", "s"}, Clients: []string{"c"}}, []string{"node1", "node2"}},
			{cluster.Audience{Sessions: []string{"c"}, Clients: []string{"s"}}, nil},
		} {
			items, err := ask(t.Context(), three[0], c.to, 1)
			require.NoError(t, err)
			require.Len(t, items, len(c.want))
			for _, node := range c.want {
				require.Contains(t, items, node)
			}
		}
	})
}

func TestAQuestionHasAKindAndAPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].asked = func(q *cluster.Question) {
			cluster.Answer(q, func(body string) []string { return []string{q.Kind + body + string(q.Payload)} })
		}
		three[2].asked = three[1].asked
		var got []string
		err := cluster.Ask(t.Context(), three[0].Node, everyone, "kind", "body", []byte("\x00\xffpayload"),
			func(_ string, item string) bool {
				got = append(got, item)
				return true
			})
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, "kindbody\x00\ufffdpayload", got[0], "JSON has replaced what isn't UTF-8 in the answer")
	})
}

// If a node dies while it is asked, Ask returns an error beside the answers of the others.
func TestANodeThatDiesWhileAskedIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		sent := 0
		three[2].store.change(func(n *busNode) {
			n.onSend = func(context.Context) error {
				if sent++; sent > 1 {
					return errDown
				}
				return nil
			}
		})
		start := time.Now()
		items, err := ask(t.Context(), three[0], everyone, 1000)
		require.ErrorIs(t, err, cluster.ErrSilent)
		require.ErrorContains(t, err, "1 of 2 within 2s")
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Len(t, items["node1"], 1000)
		require.Len(t, items["node2"], 256, "what it has said before")
	})
}

// A node may take as long as it needs, if it goes on answering.
func TestASlowAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].store.change(func(n *busNode) {
			n.onSend = func(context.Context) error { time.Sleep(1900 * time.Millisecond); return nil }
		})
		start := time.Now()
		items, err := ask(t.Context(), three[0], everyone, 1000)
		require.NoError(t, err)
		require.Len(t, items["node1"], 1000)
		require.Equal(t, 4*1900*time.Millisecond, time.Since(start))
	})
}

func TestALostPieceIsAnError(t *testing.T) {
	for lost := range 4 {
		synctest.Test(t, func(t *testing.T) {
			three := joinThree(t)
			arriving := 0
			three[0].store.change(func(n *busNode) {
				n.lose = func([]byte) bool { arriving++; return arriving == lost+1 }
			})
			three[1].Retain(session)
			require.NoError(t, three[1].Subscribe(t.Context(), "s", ""))
			items, err := ask(t.Context(), three[0], cluster.Audience{Sessions: []string{"s"}}, 1000)
			require.ErrorIs(t, err, cluster.ErrSilent)
			require.Less(t, len(items["node1"]), 1000)
			require.GreaterOrEqual(t, len(items["node1"]), 1000-256, "what has arrived counts")
		})
	}
}

// Another version may answer, and ask, with other types.
func TestAnotherVersionsWordsAreNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].asked = func(q *cluster.Question) {
			cluster.Answer(q, func(int) []string { return []string{"one"} })
		}
		items, err := ask(t.Context(), three[0], everyone, 2)
		require.ErrorIs(t, err, cluster.ErrSilent)
		require.Equal(t, map[string][]int{"node2": {0, 1}}, items)
		require.Empty(t, failures(three[0]))

		three[1].asked = upTo
		_, err = ask(t.Context(), three[0], everyone, "two")
		require.ErrorIs(t, err, cluster.ErrSilent)
		require.ErrorContains(t, err, "2 of 2")
		require.Equal(t, []string{"read a question of another node"}, failures(three[1]))
	})
}

func TestAMessageThatIsNoneIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		bad := []string{"", "\xff", "\x03{}", "\x08not json", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}
		for _, data := range append(bad, "\x02{}") { // the last one answers no question
			require.NoError(t, three[1].store.Send(t.Context(), []string{"node0"}, []byte(data)))
		}
		require.Len(t, failures(three[0]), len(bad))
		items, err := ask(t.Context(), three[1], everyone, 1)
		require.NoError(t, err)
		require.Len(t, items, 2)
	})
}

func TestAskEndsWithItsContextAndTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].asked = func(*cluster.Question) {}
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		_, err := ask(ctx, three[0], everyone, 1)
		require.Equal(t, cause, err)

		three[0].store.change(func(n *busNode) { n.onSend = hang })
		start := time.Now()
		_, err = ask(t.Context(), three[0], everyone, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, cluster.ErrSilent)
		require.Equal(t, storeTimeout, time.Since(start))
	})
}

// An answer that comes too late doesn't count for the next question.
func TestALateAnswerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[2].store.change(func(n *busNode) {
			n.onSend = func(context.Context) error { time.Sleep(3 * time.Second); return nil }
		})
		_, err := ask(t.Context(), three[0], everyone, 3)
		require.ErrorIs(t, err, cluster.ErrSilent)
		three[2].store.change(func(n *busNode) { n.onSend = nil })
		time.Sleep(500 * time.Millisecond)
		items, err := ask(t.Context(), three[0], everyone, 1)
		require.NoError(t, err)
		require.Equal(t, map[string][]int{"node1": {0}, "node2": {0}}, items)
	})
}

// A node that is shut down answers what it was asked before, as long as the store takes it.
func TestShutdownWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].asked = func(q *cluster.Question) {
			three[1].work.Go(func() {
				time.Sleep(time.Second)
				upTo(q)
			})
			go func() {
				three[1].work.Stop()
				assert.NoError(t, three[1].work.Wait(context.WithoutCancel(t.Context())))
				assert.NoError(t, three[1].Leave(context.WithoutCancel(t.Context())))
			}()
		}
		items, err := ask(t.Context(), three[0], everyone, 1000)
		require.NoError(t, err)
		require.Len(t, items["node1"], 1000)
	})
}

// A store that takes no answers doesn't delay a shutdown by each of them.
func TestShutdownWhileNoAnswerCanBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].store.change(func(n *busNode) { n.onSend = hang })
		for range 20 {
			go func() { _, _ = ask(t.Context(), three[0], everyone, 1000) }()
		}
		synctest.Wait()
		start := time.Now()
		three[1].work.Stop()
		require.NoError(t, three[1].work.Wait(t.Context()))
		require.Equal(t, storeTimeout, time.Since(start))
		require.Equal(t, []string{"answer another node"}, failures(three[1]))

		three[1].store.change(func(n *busNode) { n.onSend = nil })
		items, err := ask(t.Context(), three[0], everyone, 1)
		require.NoError(t, err, "the next answer is sent again")
		require.Len(t, items, 2)
	})
}

func TestAStoreThatPanicsHurtsOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].store.change(func(n *busNode) { n.onSend = func(context.Context) error { panic("oops") } })
		_, err := ask(t.Context(), three[0], everyone, 1)
		require.ErrorIs(t, err, cluster.ErrSilent)
		three[1].store.change(func(n *busNode) { n.onSend = nil })
		_, err = ask(t.Context(), three[0], everyone, 1)
		require.NoError(t, err)
	})
}

// Questions and changes are handed over in the order in which they were sent.
func TestQuestionsComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		var got []int
		three[1].asked = func(q *cluster.Question) {
			cluster.Answer(q, func(n int) []int { got = append(got, n); return nil })
		}
		for i := range 100 {
			_, err := ask(t.Context(), three[0], everyone, i)
			require.NoError(t, err)
		}
		require.Len(t, got, 100)
		require.IsIncreasing(t, got)
		three[1].store.changes <- store.Change{Kind: store.ChangeEnded, ID: "a"}
		three[1].store.changes <- store.Change{Kind: store.ChangeStored, ID: "b"}
		changed := read(three[1], func(m *member) []store.Change { return m.changed })
		require.Equal(t, []store.Change{{Kind: store.ChangeEnded, ID: "a"}, {Kind: store.ChangeStored, ID: "b"}}, changed)
	})
}

// TestTellIsNotAnswered: a node that is told something doesn't answer, and no node is waited for.
func TestTellIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three, told := joinThree(t), 0
		three[1].asked = func(q *cluster.Question) {
			require.Equal(t, "news", q.Kind)
			require.Equal(t, "payload", string(q.Payload))
			cluster.Answer(q, func(n int) []int { told += n; return []int{n} })
		}
		three[2].asked = func(*cluster.Question) {} // silent
		began := time.Now()
		require.NoError(t, cluster.Tell(t.Context(), three[0].Node, everyone, "news", 7, []byte("payload")))
		synctest.Wait()
		require.Equal(t, 7, told)
		require.Zero(t, time.Since(began))
		require.NoError(t, cluster.Tell(t.Context(), nil, everyone, "news", 7, nil))
		require.Error(t, cluster.Tell(t.Context(), three[0].Node, everyone, "news", func() {}, nil))
	})
}
