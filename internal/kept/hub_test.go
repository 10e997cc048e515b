package kept_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/store"
)

// faulty is a Memory that fails while err is set, and calls read, if set, after it has read.
type faulty struct {
	*kept.Memory
	mu   sync.Mutex
	err  error
	read func()
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// afterNextRead has do called when messages have been read, once.
func (f *faulty) afterNextRead(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = do
}

func (f *faulty) Kept(ctx context.Context, to store.KeptFor, after uint64) (store.Kept, error) {
	f.mu.Lock()
	err, read := f.err, f.read
	f.read = nil
	f.mu.Unlock()
	if err != nil {
		return store.Kept{}, err
	}
	if read != nil {
		defer read()
	}
	return f.Memory.Kept(ctx, to, after)
}

// fixture is a Hub on a Memory.
type fixture struct {
	*kept.Hub
	t      *testing.T
	keeper *faulty
	failed []error
	login  time.Time
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, keeper: &faulty{Memory: kept.NewMemory(math.MaxInt, func(time.Duration, func()) {})}}
	f.Hub = kept.New(kept.Config{
		Keeper: f.keeper, Secrets: [][sha256.Size]byte{{1}}, Timeout: time.Second,
		Go: func(task func()) { go task() }, After: later,
		Failed: func(err error) { f.failed = append(f.failed, err) },
	})
	return f
}

// keep keeps messages for the session "s" or the user "ann", and pokes the hub.
func (f *fixture) keep(to string, messages ...string) {
	f.t.Helper()
	of := store.KeptFor{SessionID: to}
	if to == "ann" || to == "bob" {
		of = store.KeptFor{UserID: to}
	}
	for _, text := range messages {
		keep(f.t, f.keeper, of, limits, text)
	}
	f.Poke(of)
}

// client is a connection and its client. The frames that it has got are sent at once, unless it is
// slow.
type client struct {
	f *fixture

	mu            sync.Mutex
	session, user string
	slow, over    bool
	pumping       bool
	heard         []string
	notes         []*kept.Frame // that wait
	reader        *kept.Reader
	position      string
}

func (c *client) Current() (sessionID, userID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session, c.user
}

func (c *client) Enqueue(r *kept.Reader, f *kept.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.reader = r
	c.notes = append(c.notes, f)
	c.pump()
	return true
}

// pump sends frames in the background, one at a time, unless the client is slow. The lock is held.
func (c *client) pump() {
	if c.pumping || c.slow {
		return
	}
	c.pumping = true
	go func() {
		for c.send(false) {
		}
	}()
}

// send sends the next frame; with slow, also to a slow client.
func (c *client) send(slow bool) bool {
	c.mu.Lock()
	if len(c.notes) == 0 || c.over || c.slow && !slow {
		c.pumping = false
		c.mu.Unlock()
		return false
	}
	f, r := c.notes[0], c.reader
	c.notes = c.notes[1:]
	c.mu.Unlock()
	position := r.Position(f)
	text, _ := strings.CutPrefix(string(f.Encode("")), "\x1e")
	c.mu.Lock()
	if !c.over { // otherwise it is lost on its way
		c.position = position
		c.heard = append(c.heard, strings.TrimSpace(text))
	}
	c.mu.Unlock()
	c.f.Sent(r)
	return true
}

// open opens a connection at the position, "" for none.
func (f *fixture) open(session, user, position string) (*client, error) {
	c := &client{f: f, session: session, user: user, position: position}
	return c, c.join()
}

func (c *client) join() error {
	r, err := c.f.Join(c.f.t.Context(), c, kept.Start{
		SessionID: c.session, UserID: c.user, Position: c.position, First: c.position == "",
		LoggedIn: func(context.Context) (time.Time, error) { return c.f.login, nil },
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader = r
	return err
}

// part takes the session from the connection.
func (c *client) part() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.user = "", ""
}

func (f *fixture) mustOpen(session, user, position string) *client {
	f.t.Helper()
	c, err := f.open(session, user, position)
	require.NoError(f.t, err)
	return c
}

// hears fails unless the client has got exactly these since the last call.
func (c *client) hears(texts ...string) {
	c.f.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(c.f.t, append([]string{}, texts...), append([]string{}, c.heard...))
	c.heard = nil
}

// close ends the connection and returns the client's position.
func (c *client) close() string {
	synctest.Wait()
	c.mu.Lock()
	c.over = true
	position := c.position
	c.mu.Unlock()
	c.f.Leave(c.reader) // outside of the lock, which Enqueue takes
	return position
}

func test(t *testing.T, run func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(newFixture(t)) })
}

func TestAReaderGetsWhatIsNewToItOnce(t *testing.T) {
	test(t, func(f *fixture) {
		f.keep("s", "before")
		c := f.mustOpen("s", "ann", "")
		c.hears("ready")
		f.keep("s", "1", "2")
		c.hears("1", "2")
		f.keep("ann", "3")
		c.hears("3")
		at := c.close()
		f.keep("s", "4")
		f.keep("ann", "5", "6")
		c = f.mustOpen("s", "ann", at)
		c.hears("4", "5", "6", "ready")
		again := f.mustOpen("s", "ann", at) // another copy of the position
		again.hears("4", "5", "6", "ready")
		f.keep("s", "7")
		f.Poke(store.KeptFor{SessionID: "s"})
		f.PokeAll()
		c.hears("7")
		again.hears("7")
		f.mustOpen("s", "ann", c.close()).hears("ready")
	})
}

// A message whose announcement is lost comes with the next one, in order, or with PokeAll.
func TestAMissedAnnouncementIsMadeUpFor(t *testing.T) {
	test(t, func(f *fixture) {
		c, of := f.mustOpen("s", "ann", ""), store.KeptFor{UserID: "ann"}
		c.hears("ready")
		keep(f.t, f.keeper, of, limits, "1", "2")
		c.hears()
		require.True(f.t, f.Announced(of.Topic()))
		require.False(f.t, f.Announced("c2a8b1e0-0000-4000-8000-000000000000"))
		c.hears("1", "2")
		keep(f.t, f.keeper, of, limits, "3")
		f.PokeAll()
		c.hears("3")
	})
}

// What a connection gets depends on its session and its user only.
func TestAPositionRevealsNothing(t *testing.T) {
	test(t, func(f *fixture) {
		f.login = time.Now().Add(-time.Hour)
		ann := f.mustOpen("s", "ann", "")
		ann.hears("ready")
		f.keep("s", "session of ann")
		ann.hears("session of ann")
		f.keep("ann", "for ann")
		ann.hears("for ann")
		at := ann.close()
		f.keep("s", "more of ann's session")
		f.keep("ann", "more for ann")
		f.keep("bob", "for bob")
		f.keep("other", "session of bob")
		bob := f.mustOpen("other", "bob", at)
		bob.hears("session of bob", "for bob", "ready")
		f.mustOpen("", "", bob.position).hears("ready")
	})
}

// A client that comes back to a user whom it has left gets nothing twice.
func TestAPositionRemembersFormerLogs(t *testing.T) {
	test(t, func(f *fixture) {
		c := f.mustOpen("s", "ann", "")
		f.keep("ann", "1")
		c.hears("ready", "1")
		guest := f.mustOpen("guest", "", c.close())
		guest.hears("ready")
		f.keep("ann", "2")
		f.login = time.Now()
		c = f.mustOpen("s2", "ann", guest.close())
		c.hears("2", "ready")
	})
}

// A client that has got another user gets what was kept since the login.
func TestALoginBringsTheMessagesSince(t *testing.T) {
	test(t, func(f *fixture) {
		guest := f.mustOpen("s", "", "")
		f.keep("ann", "long ago")
		time.Sleep(time.Minute)
		f.login = time.Now()
		f.keep("ann", "1")
		guest.hears("ready")
		f.keep("s", "2")
		guest.hears("2")
		f.mustOpen("s", "ann", guest.close()).hears("1", "ready")
	})
}

func TestAClientIsToldWhatIsGone(t *testing.T) {
	few := limits
	few.Messages, few.For = 2, time.Minute
	of := store.KeptFor{SessionID: "s"}
	test(t, func(f *fixture) {
		keep(f.t, f.keeper, of, few, "0")
		c := f.mustOpen("s", "", "")
		c.hears("ready")
		at := c.close()
		keep(f.t, f.keeper, of, few, "1", "2", "3")
		c = f.mustOpen("s", "", at)
		c.hears("gone", "2", "3", "ready")
		keep(f.t, f.keeper, of, few, "4", "5", "6") // too many at once for a node that hears of them late
		f.PokeAll()
		c.hears("gone", "5", "6")
		at = c.close()
		c = f.mustOpen("s", "", at)
		c.hears("ready")
		at = c.close()
		keep(f.t, f.keeper, of, few, "7")
		time.Sleep(2 * time.Minute)
		c = f.mustOpen("s", "", at)
		c.hears("gone", "ready")
		f.mustOpen("s", "", c.close()).hears("ready")
		f.mustOpen("s", "", "nonsense").hears("gone", "ready")
		f.login = time.Now().Add(-time.Hour)
		keep(f.t, f.keeper, store.KeptFor{UserID: "ann"}, few, "1", "2", "3")
		f.mustOpen("s", "ann", at).hears("gone", "gone", "2", "3", "ready")
	})
}

// A store that has lost a log, or the last messages of one, says so by its numbers.
func TestALogThatIsLostIsGone(t *testing.T) {
	test(t, func(f *fixture) {
		c := f.mustOpen("s", "", "")
		f.keep("s", "1", "2")
		c.hears("ready", "1", "2")
		at := c.close()
		f.keeper.End("s")
		f.mustOpen("s", "", at).hears("gone", "ready")
		time.Sleep(time.Second)
		live := f.mustOpen("s", "", "")
		f.keeper.End("s")
		time.Sleep(time.Second)
		f.keep("s", "3")
		live.hears("ready", "gone", "3")
	})
}

// behind returns the position of a client of "s" and "ann" that has missed messages for "s", more than
// may be under way.
func (f *fixture) behind() (at string, missed []string) {
	c := f.mustOpen("s", "ann", "")
	c.hears("ready")
	at = c.close()
	for i := range 200 {
		missed = append(missed, fmt.Sprint(i))
	}
	f.keep("s", missed...)
	return at, missed
}

// A slow connection has a few frames under way. The others come when these are sent.
func TestASlowClientTakesNoMemory(t *testing.T) {
	test(t, func(f *fixture) {
		at, want := f.behind()
		c := &client{f: f, session: "s", user: "ann", slow: true}
		r, err := f.Join(f.t.Context(), c, kept.Start{SessionID: "s", UserID: "ann", Position: at})
		require.NoError(f.t, err)
		c.reader = r
		synctest.Wait()
		require.Len(f.t, c.notes, 64)
		f.keep("s", "more")
		for c.send(true) {
			synctest.Wait()
			require.LessOrEqual(f.t, len(c.notes), 65)
		}
		c.hears(append(want, "more", "ready")...)
	})
}

// A client is ready when it has what it missed, even if it has taken the first messages before the
// last log was read.
func TestAFastClientIsNotReadyEarly(t *testing.T) {
	test(t, func(f *fixture) {
		at, want := f.behind()
		c := &client{f: f, session: "s", user: "ann", position: at}
		f.keeper.afterNextRead(func() { // of the session's log; then comes the user's
			f.keeper.afterNextRead(func() { time.Sleep(time.Millisecond) }) // all frames are sent
		})
		require.NoError(t, c.join())
		c.hears(append(want, "ready")...)
	})
}

// A client is ready when both logs have been read for it, even if the session's log is handed to other
// connections while it joins.
func TestAClientIsNotReadyBeforeItsLastLogIsRead(t *testing.T) {
	test(t, func(f *fixture) {
		c := f.mustOpen("s", "ann", "")
		c.hears("ready")
		at := c.close()
		f.keep("s", "1")
		f.keep("ann", "2")
		other := f.mustOpen("s", "", "")
		other.hears("ready")

		c = &client{f: f, session: "s", user: "ann", position: at}
		joined := make(chan error, 1)
		f.keeper.afterNextRead(func() { // of the session's log, whose turn is held
			f.Poke(store.KeptFor{SessionID: "s"})
			time.Sleep(time.Millisecond) // the next reading waits for the turn, and the client behind it
			go func() { joined <- c.join() }()
			time.Sleep(time.Millisecond)
		})
		f.keep("s", "3")
		require.NoError(t, <-joined)
		c.hears("1", "3", "2", "ready")
		other.hears("3")
	})
}

// A connection that is parted from its session or its user gets nothing more, and one without a
// session nothing at all.
func TestAPartedConnectionGetsNothing(t *testing.T) {
	test(t, func(f *fixture) {
		c, other := f.mustOpen("s", "ann", ""), f.mustOpen("s", "ann", "")
		c.part()
		f.keep("s", "1")
		c.hears("ready")
		other.hears("ready", "1")
		f.keep("ann", "2")
		c.hears()
		other.hears("2")
		other.mu.Lock()
		other.user = "bob"
		other.mu.Unlock()
		f.keep("ann", "3")
		other.hears()
		f.keep("s", "4")
		other.hears("4")
		f.mustOpen("", "", "").hears("ready")
	})
}

// A connection that is parted while its messages are being read doesn't get them, neither those that
// it has missed nor later ones.
func TestAConnectionThatIsPartedMeanwhileGetsNothing(t *testing.T) {
	test(t, func(f *fixture) {
		c := f.mustOpen("s", "ann", "")
		c.hears("ready")
		f.keeper.afterNextRead(c.part)
		f.keep("s", "1")
		c.hears()

		first := f.mustOpen("s", "ann", "")
		first.hears("ready")
		back := &client{f: f, session: "s", user: "ann", position: first.close()}
		f.keep("s", "2")
		f.keeper.afterNextRead(back.part)
		require.NoError(t, back.join())
		back.hears("ready")
	})
}

// A store that doesn't answer fails a handshake; connections that are open get what they have missed
// when it answers. It is reported once.
func TestAStoreThatFails(t *testing.T) {
	test(t, func(f *fixture) {
		c, down := f.mustOpen("s", "ann", ""), errors.New("down")
		c.hears("ready")
		f.keeper.fail(down)
		_, err := f.open("s", "ann", "")
		require.ErrorIs(f.t, err, down)
		f.keep("s", "1")
		f.keep("ann", "2")
		time.Sleep(10 * time.Second)
		c.hears()
		f.keeper.fail(nil)
		time.Sleep(2 * time.Second)
		require.Len(f.t, f.failed, 1)
		synctest.Wait()
		require.ElementsMatch(f.t, []string{"1", "2"}, c.heard)
		f.Leave(nil)
	})
}

// TestRandomHistories: whatever happens to connections and announcements, each client gets every
// message for its session and its user once and in order.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(200) {
		test(t, func(f *fixture) {
			random := rand.New(rand.NewPCG(seed, 14))
			const clients = 3
			var open [clients]*client
			var heard [clients][]string
			var want []string // of the user, and of the session
			closeIt := func(i int) {
				open[i].close()
				open[i].mu.Lock()
				defer open[i].mu.Unlock()
				heard[i] = append(heard[i], open[i].heard...)
				open[i].heard = nil
			}
			for i := range open {
				open[i] = f.mustOpen("s", "ann", "")
			}
			synctest.Wait()
			for n := range 100 {
				i := random.IntN(clients)
				switch random.IntN(8) {
				case 0:
					closeIt(i)
				case 1:
					if open[i].over {
						open[i] = f.mustOpen("s", "ann", open[i].position)
					}
				case 2:
					open[i].mu.Lock()
					open[i].slow = !open[i].slow
					open[i].pump()
					open[i].mu.Unlock()
				case 3:
					synctest.Wait()
				default:
					text, to := fmt.Sprint(n), []string{"s", "ann"}[random.IntN(2)]
					want = append(want, to+text)
					of := store.KeptFor{SessionID: to}
					if to == "ann" {
						of = store.KeptFor{UserID: to}
					}
					keep(f.t, f.keeper, of, limits, to+text)
					if random.IntN(3) > 0 {
						f.Poke(of)
					}
				}
			}
			for i := range open {
				if !open[i].over {
					closeIt(i)
				}
				open[i] = f.mustOpen("s", "ann", open[i].position)
				closeIt(i)
				for _, of := range []string{"s", "ann"} {
					require.Equal(f.t, of1(of, want), of1(of, heard[i]), "seed %d, client %d", seed, i)
				}
			}
		})
	}
}

// of1 returns the texts that begin with the prefix and a digit.
func of1(prefix string, texts []string) (of []string) {
	for _, text := range texts {
		if rest, ok := strings.CutPrefix(text, prefix); ok && rest[0] >= '0' && rest[0] <= '9' {
			of = append(of, text)
		}
	}
	return of
}
