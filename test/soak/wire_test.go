package soak_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// wire is a WebSocket client that reads and writes frames itself (RFC 6455 §5.2), so that it sees
// the close frame exactly as sent.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex // guards writes
}

const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// dialWire opens a connection. The error of a refusal has the status.
func dialWire(addr, path, cookies string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, await.Limit)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn, in: bufio.NewReaderSize(conn, 512)}
	if err := w.shakeHands(addr, path, cookies); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *wire) shakeHands(addr, path, cookies string) error {
	if err := w.conn.SetDeadline(time.Now().Add(await.Limit)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\nCookie: %s\r\n\r\n", path, addr, cookies)
	if err != nil {
		return err
	}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered with %s", res.Status)
	}
	return w.conn.SetDeadline(time.Time{})
}

// read returns the next frame of the server. Such frames are not masked.
func (w *wire) read() (op byte, payload []byte, err error) {
	var head [4]byte
	if _, err = io.ReadFull(w.in, head[:2]); err != nil {
		return 0, nil, err
	}
	n := int(head[1])
	switch {
	case n == 126:
		if _, err = io.ReadFull(w.in, head[2:]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(head[2:]))
	case n > 126:
		return 0, nil, fmt.Errorf("a frame that is masked, or far longer than any here: %x", head[:2])
	}
	if head[0]&0xf0 != 0x80 {
		return 0, nil, fmt.Errorf("a fragment, or an extension that was not requested: %x", head[:2])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(w.in, payload)
	return head[0] & 0x0f, payload, err
}

// write sends a short frame under the mask 0.
func (w *wire) write(op byte, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(await.Limit)); err != nil {
		return err
	}
	_, err := w.conn.Write(append([]byte{0x80 | op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...))
	return err
}

// closeCode returns the code in a close frame; 1005 for an empty one (RFC 6455 §7.1.5).
func closeCode(payload []byte) int {
	if len(payload) < 2 {
		return 1005
	}
	return int(binary.BigEndian.Uint16(payload))
}
