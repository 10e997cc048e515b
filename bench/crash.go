package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
)

// crashVariable makes this program fill the log of a store and wait to be killed, as a child of the
// one that measures.
const crashVariable = "SESSIONBRIDGE_BENCH_CRASH"

// crashSetSize is a little more than a set of a session that isn't in the log yet takes of what the
// log may hold: what its changes take in memory counts, too.
const crashSetSize = 900

func crashWanted() bool { return os.Getenv(crashVariable) != "" }

// crashing stores each of the first sessions once more, by many goroutines at once, and says so
// when all are durable. It ends with in.
func crashing(in io.Reader, out io.Writer) error {
	var (
		path    string
		sets    int
		logSize int64
	)
	if _, err := fmt.Sscanf(os.Getenv(crashVariable), "%d %d %q", &sets, &logSize, &path); err != nil {
		return err
	}
	// What isn't in the log any more needs no recovery: it turns to the other file only when one is
	// full.
	st, err := filestore.Open(path, &filestore.Options{LogSize: logSize, CheckpointEvery: time.Hour})
	if err != nil {
		return err
	}
	err = inParallel(sets, func(_, n int) error {
		rec, err := st.Get(context.Background(), idOf(n))
		if err != nil {
			return err
		}
		rec.Writes++
		_, err = st.Set(context.Background(), rec)
		return err
	})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	fmt.Fprintln(out, "durable")
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, st.Close())
}

// crash has a child store so many sessions of the store at the path, which is closed, and kills it
// once they are durable.
func crash(path string, sets int, logSize int64) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %q", crashVariable, sets, logSize, path))
	in, out, err := startPiped(cmd)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // nothing is written to it
	_, err = bufio.NewReader(out).ReadString('\n')
	err = errors.Join(err, cmd.Process.Kill())
	if killed := cmd.Wait(); err == nil && cmd.ProcessState.Exited() {
		err = fmt.Errorf("it wasn't killed: %w", killed)
	}
	if err != nil {
		return fmt.Errorf("the child to be killed: %w", err)
	}
	return nil
}

// recovered is told by the store how many changes it has found in its log.
type recovered struct {
	slog.Handler
	changes int64
}

func (r *recovered) logger() *slog.Logger {
	r.Handler = slog.DiscardHandler
	return slog.New(r)
}

func (*recovered) Enabled(context.Context, slog.Level) bool { return true }

func (r *recovered) WithAttrs([]slog.Attr) slog.Handler { return r }

func (r *recovered) Handle(_ context.Context, rec slog.Record) error {
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "changes" {
			r.changes = a.Value.Int64()
		}
		return true
	})
	return nil
}
