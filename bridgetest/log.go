package bridgetest

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// maxLog limits the log lines that are kept for a test that fails, in bytes.
const maxLog = 1 << 20

// newLog returns a slog.Handler that logs into keepLines.
func newLog(t testing.TB) slog.Handler {
	return slog.NewTextHandler(keepLines(t, "the Bridge"), &slog.HandlerOptions{Level: slog.LevelDebug})
}

// keepLines returns a Writer whose lines are printed at the end of a test that has failed.
func keepLines(t testing.TB, of string) *recentLines {
	lines := &recentLines{}
	t.Cleanup(func() {
		if text := lines.String(); text != "" && t.Failed() {
			t.Logf("bridgetest: the log of %s:\n%s", of, text)
		}
	})
	return lines
}

// recentLines keeps the newest lines that are written, up to maxLog.
type recentLines struct {
	mu   sync.Mutex
	text []byte
}

func (l *recentLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.text)+len(line) > maxLog {
		half := l.text[len(l.text)/2:]
		l.text = append(l.text[:0], half[bytes.IndexByte(half, '\n')+1:]...)
	}
	l.text = append(l.text, line...)
	return len(line), nil
}

func (l *recentLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
