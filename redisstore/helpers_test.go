package redisstore_test

import (
	"bufio"
	"crypto/rand"
	"io"
	"iter"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	patience = time.Minute // limit for operations that must succeed eventually
	tick     = 20 * time.Millisecond
)

// newRecord returns a new record of the user ada, seen now.
func newRecord(changes ...func(*store.Record)) store.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	rec := store.Record{
		ID: uuid.NewString(), ClientID: uuid.NewString(), UserID: "ada", Data: []byte(`{"n":0}`), TokenGeneration: 1,
		Created: now, Seen: now, Expires: now.Add(time.Hour), Idle: time.Hour, WriteID: store.WriteID(uuid.New()),
	}
	_, _ = rand.Read(rec.TokenHash[:])
	for _, change := range changes {
		change(&rec)
	}
	return rec
}

func create(t testing.TB, st store.Store, changes ...func(*store.Record)) store.Record {
	t.Helper()
	rec := newRecord(changes...)
	revision, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	rec.Revision = revision
	return rec
}

func collect(t testing.TB, all iter.Seq2[store.Record, error]) (ids []string) {
	t.Helper()
	for rec, err := range all {
		require.NoError(t, err)
		ids = append(ids, rec.ID)
	}
	return ids
}

// keys returns all keys of the server.
func keys(t testing.TB, s *redistest.Server) []string {
	t.Helper()
	return matching(t, s, "*")
}

// matching returns the keys of the server that match a pattern.
func matching(t testing.TB, s *redistest.Server, pattern string) []string {
	t.Helper()
	answer := s.Do("KEYS", pattern)
	names, err := answer.AsStrSlice()
	require.NoError(t, err)
	return names
}

func number(t testing.TB, answer rueidis.RedisMessage) int64 {
	t.Helper()
	n, err := answer.AsInt64()
	require.NoError(t, err)
	return n
}

// line is a proxy in front of a server. It records the commands, and can drop replies.
type line struct {
	listener net.Listener
	cut      atomic.Bool // drop the replies to scripts and close their connections
	all      sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
	commands []string // without those that concern the connection
}

func newLine(t testing.TB, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{listener: listener}
	l.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				conn.Close()
				continue
			}
			l.mu.Lock()
			l.open = append(l.open, conn, server)
			l.mu.Unlock()
			lose := new(atomic.Bool)
			l.all.Go(func() {
				defer server.Close()
				l.ask(bufio.NewReader(conn), server, lose)
			})
			l.all.Go(func() { l.answer(conn, server, lose) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.mu.Lock()
		for _, conn := range l.open {
			conn.Close()
		}
		l.mu.Unlock()
		l.all.Wait()
	})
	return l
}

// ask forwards the commands of a client: arrays of strings, each preceded by its length.
func (l *line) ask(from *bufio.Reader, server net.Conn, lose *atomic.Bool) {
	for {
		command, err := from.ReadString('\n')
		if err != nil {
			return
		}
		words, _ := strconv.Atoi(strings.TrimSpace(command[1:]))
		for i := range words {
			head, err := from.ReadString('\n')
			if err != nil {
				return
			}
			size, _ := strconv.Atoi(strings.TrimSpace(head[1:]))
			word := make([]byte, size+2)
			if _, err := io.ReadFull(from, word); err != nil {
				return
			}
			if i == 0 {
				l.note(string(word[:size]))
				lose.Store(l.cut.Load() && strings.HasPrefix(string(word), "EVAL"))
			}
			command += head + string(word)
		}
		if _, err := server.Write([]byte(command)); err != nil {
			return
		}
	}
}

func (l *line) note(command string) {
	switch command {
	case "HELLO", "CLIENT", "PING", "AUTH", "COMMAND", "CLUSTER", "INFO":
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands = append(l.commands, command)
}

// sent returns the commands since the last call.
func (l *line) sent() (commands []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	commands, l.commands = l.commands, nil
	return commands
}

func (l *line) answer(conn, server net.Conn, lose *atomic.Bool) {
	defer conn.Close()
	defer server.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		if lose.Load() {
			return
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return
		}
	}
}

func (l *line) url() string { return "redis://" + l.listener.Addr().String() }
