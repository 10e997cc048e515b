package sessionproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	closeTimeout = time.Second      // for the client's answer to a close frame
	writeTimeout = 10 * time.Second // of a message of Bridge.Notify
)

// errOnSocket: a browser may drop the cookies of an answer that opens a WebSocket.
var errOnSocket = fmt.Errorf("%w: a handshake can't change the session", errOrder)

// relay passes the messages of two WebSockets on to each other.
type relay struct {
	x               *exchange
	client, backend *websocket.Conn
}

// run relays until one connection or the session ends. Then it closes the other connection.
func (y *relay) run() {
	ctx, cut := context.WithCancel(context.WithoutCancel(y.x.r.Context()))
	defer cut()
	closing := make(chan struct{}) // the session is closing the client
	link, err := y.x.p.b.Attach(y.x.r, func(code int, reason string) {
		close(closing)
		defer time.AfterFunc(closeTimeout, cut).Stop()
		_ = y.client.Close(websocket.StatusCode(code), reason)
	})
	if err != nil {
		_ = y.client.Close(websocket.StatusCode(bridge.CloseCode(err)), "")
		return
	}
	y.client.SetReadLimit(y.x.p.opts.MaxMessageBytes)
	y.backend.SetReadLimit(-1)
	link.OnNotify(0, bridge.CloseSlow, func(kind websocket.MessageType, data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		return y.client.Write(ctx, kind, data)
	})
	link.Heartbeat(y.x.p.opts.Heartbeat, y.client.Ping)

	var passing sync.WaitGroup
	up, down := make(chan error, 1), make(chan error, 1)
	passing.Go(func() { up <- pass(ctx, y.backend, y.client, link.Received) })
	passing.Go(func() { down <- pass(ctx, y.client, y.backend, link.Sent) })
	fromClient := true
	select {
	case err = <-up:
		if !errors.As(err, new(readError)) { // the backend takes no more: it has closed, or will be cut
			defer time.AfterFunc(closeTimeout, cut).Stop()
			err, fromClient = <-down, false
		}
	case err = <-down:
		if fromClient = !errors.As(err, new(readError)); fromClient { // likewise the client
			defer time.AfterFunc(closeTimeout, cut).Stop()
			err = <-up
		}
	case <-closing:
	}
	select {
	case <-closing: // the backend knows nothing of the codes of sessions
		err = websocket.CloseError{Code: websocket.StatusGoingAway}
		fromClient = true
	default:
	}
	defer time.AfterFunc(closeTimeout, cut).Stop()
	if fromClient {
		y.closeBackend(err)
	} else {
		y.closeClient(err)
	}
	link.Detach() // waits until the session has closed the client
	cut()
	_ = y.client.CloseNow()
	_ = y.backend.CloseNow()
	passing.Wait()
}

// closeClient closes the client as the backend has closed its connection.
func (y *relay) closeClient(err error) {
	frame := websocket.CloseError{Code: bridge.CodeUnavailable, Reason: "the backend has gone"}
	errors.As(err, &frame)
	_ = y.client.Close(frame.Code, frame.Reason)
}

// closeBackend closes the connection to the backend as the client has closed its own.
func (y *relay) closeBackend(err error) {
	var frame websocket.CloseError
	if errors.As(err, &frame) {
		_ = y.backend.Close(frame.Code, frame.Reason)
	}
}

// readError is an error of the connection from which messages come, not of the other one.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// marked is a message whose errors are readErrors.
type marked struct{ io.Reader }

func (m marked) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Copy compares, too
		err = readError{err}
	}
	return n, err
}

// oneFrame is the size up to which a message is relayed as one frame: some backends take no others.
const oneFrame = 32 << 10

var buffers = sync.Pool{New: func() any { return new([oneFrame + 1]byte) }}

// pass relays the messages of one connection to another, until either fails, and counts them.
func pass(ctx context.Context, to, from *websocket.Conn, count func(bytes int)) error {
	for {
		kind, in, err := from.Reader(ctx)
		if err != nil {
			return readError{err}
		}
		if err := passOne(ctx, to, kind, in, count); err != nil {
			return err
		}
	}
}

// passOne relays a message. One that ends early is never finished.
func passOne(
	ctx context.Context, to *websocket.Conn, kind websocket.MessageType, in io.Reader, count func(bytes int),
) error {
	buf, _ := buffers.Get().(*[oneFrame + 1]byte)
	defer buffers.Put(buf)
	n, err := io.ReadFull(in, buf[:])
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // this is all of it
		count(n) // first: a message that has arrived is counted
		return to.Write(ctx, kind, buf[:n])
	case err != nil:
		return readError{err}
	}
	out, err := to.Writer(ctx, kind)
	if err != nil {
		return err
	}
	size, err := io.Copy(out, io.MultiReader(bytes.NewReader(buf[:]), marked{in}))
	if err != nil {
		return err
	}
	count(int(size))
	return out.Close()
}
