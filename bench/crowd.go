package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// audience is what the clients of a child have heard. Its counts begin with the process.
type audience struct {
	mu       sync.Mutex
	changed  *sync.Cond
	messages int
	closes   int
	last     time.Time // of either
}

func newAudience() *audience {
	a := &audience{}
	a.changed = sync.NewCond(&a.mu)
	return a
}

// listen reads what the server sends, until the connection ends. A close frame is answered.
func (a *audience) listen(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 512)
	for {
		op, err := readFrame(r)
		if err != nil {
			return
		}
		now := time.Now()
		a.mu.Lock()
		switch op {
		case opText:
			a.messages++
		case opClose:
			a.closes++
		}
		a.last = now
		a.changed.Broadcast()
		a.mu.Unlock()
		if op == opClose {
			_, _ = conn.Write([]byte{0x80 | opClose, 0x80, 0, 0, 0, 0}) // masked, empty
			return
		}
	}
}

const (
	opText  = 1
	opClose = 8
)

// readFrame reads a frame of a server, which is not masked.
func readFrame(r *bufio.Reader) (op byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n := int64(head[1] & 0x7f)
	if n == 126 {
		var long [2]byte
		if _, err = io.ReadFull(r, long[:]); err != nil {
			return 0, err
		}
		n = int64(binary.BigEndian.Uint16(long[:]))
	}
	_, err = io.CopyN(io.Discard, r, n)
	return head[0] & 0x0f, err
}

// report answers a line like "messages 10000": when as many had been heard, in Unix nanoseconds.
func (a *audience) report(line string, out io.Writer) error {
	var what string
	var n int
	if _, err := fmt.Sscan(line, &what, &n); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	count := &a.messages
	if strings.HasPrefix(what, "closes") {
		count = &a.closes
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for *count < n {
		a.changed.Wait()
	}
	_, err := fmt.Fprintln(out, a.last.UnixNano())
	return err
}

// heard asks the child when its clients had heard n messages, or closes, since it was started.
func (c *child) heard(what string, n int) (time.Time, error) {
	if _, err := fmt.Fprintln(c.in, what, n); err != nil {
		return time.Time{}, err
	}
	var nanoseconds int64
	_, err := fmt.Fscan(c.out, &nanoseconds)
	return time.Unix(0, nanoseconds), err
}
