package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// keptAlive is how many HTTP connections send requests at once.
const keptAlive = 32

// shaking is how many clients open connections at once.
const shaking = 4

// serverGroups measure what a server of net/http does for a client over loopback.
func serverGroups() []group {
	return []group{
		{
			name: fmt.Sprintf("HTTP increments on %d connections", keptAlive),
			ours: side{"ours", func() (*subject, error) { return served(openOursSite, httpIncrement) }},
			peer: side{"bare handler", servedBare},
			rows: []row{{"CPU", cpuPerOp, timesBetter(0.80)}, {"rate", perSecond, target{}}},
			rivals: []rival{{
				peer: side{"scs", func() (*subject, error) { return served(openSCS, httpIncrement) }},
				rows: []row{{"CPU, scs", cpuPerOp, timesBetter(1)}},
			}},
		},
		{
			name: "connect with a session",
			ours: side{"ours", connectOurs},
			peer: side{"bare accept", connectBare},
			rows: []row{
				{"CPU", cpuPerOp, every(timesBetter(0.88), allocsAtMost(165))},
				{"time", nsPerOp, target{}},
			},
		},
	}
}

func openOursSite() (*site, error) {
	s, _, err := openOurs()
	return s, err
}

// httpIncrement adds one to a key of the session.
func httpIncrement(s *site, w http.ResponseWriter, r *http.Request) {
	n, err := s.get(r, "n")
	if err == nil {
		err = s.set(w, r, "n", n+1)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

// served is a server, to which each connection sends the requests of a session of its own.
func served(open func() (*site, error), do func(*site, http.ResponseWriter, *http.Request)) (*subject, error) {
	s, err := open()
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(s.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { do(s, w, r) })))
	var visitors []*visitor
	var cookies []string
	for range keptAlive {
		v, err := s.plant()
		if err != nil {
			return nil, err
		}
		visitors, cookies = append(visitors, v), append(cookies, v.request.Header.Get("Cookie"))
	}
	lines, err := openLines(server, cookies)
	if err != nil {
		return nil, err
	}
	return &subject{
		run: lines.run,
		check: func(n int) error {
			total := 0
			for _, v := range visitors {
				err := s.visitOnce(v, func(_ http.ResponseWriter, r *http.Request) error {
					count, err := s.get(r, "n")
					total += count - planted
					return err
				})
				if err != nil {
					return err
				}
			}
			return same("stored increments", total, n)
		},
		close: func() error {
			lines.close()
			server.Close()
			return s.close()
		},
	}, nil
}

// servedBare is the same with a handler that counts and knows no session.
func servedBare() (*subject, error) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_, _ = w.Write(answer)
	}))
	lines, err := openLines(server, make([]string, keptAlive))
	if err != nil {
		return nil, err
	}
	return &subject{
		run:   lines.run,
		check: func(n int) error { return same("handled requests", int(calls.Load()), n) },
		close: func() error {
			lines.close()
			server.Close()
			return nil
		},
	}, nil
}

// lines are connections that stay open. Each sends one request, again and again, and costs next to
// nothing itself: what is measured is the server.
type lines struct{ all []*line }

type line struct {
	conn     net.Conn
	in       *bufio.Reader
	request  []byte
	response []byte // as long as every response of this connection
}

func openLines(server *httptest.Server, cookies []string) (*lines, error) {
	l := &lines{}
	addr := server.Listener.Addr().String()
	for _, cookie := range cookies {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		request := "GET / HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: bench\r\n"
		if cookie != "" {
			request += "Cookie: " + cookie + "\r\n"
		}
		l.all = append(l.all, &line{conn: conn, in: bufio.NewReader(conn), request: []byte(request + "\r\n")})
	}
	return l, nil
}

func (l *lines) close() {
	for _, each := range l.all {
		_ = each.conn.Close()
	}
}

// run sends n requests, shared among the connections.
func (l *lines) run(n int) error {
	var wg sync.WaitGroup
	errs := make([]error, len(l.all))
	for i, each := range l.all {
		share := (n + i) / len(l.all) // these add up to n
		wg.Go(func() { errs[i] = each.send(share) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *line) send(n int) error {
	for range n {
		if _, err := l.conn.Write(l.request); err != nil {
			return err
		}
		if err := l.receive(); err != nil {
			return err
		}
	}
	return nil
}

// receive reads a response: the first one as HTTP, and of the others as many bytes.
func (l *line) receive() error {
	if l.response != nil {
		_, err := io.ReadFull(l.in, l.response)
		if err == nil && string(l.response[:len(okLine)]) != okLine {
			err = fmt.Errorf("the response is %q", l.response)
		}
		return err
	}
	counted := &countingReader{r: l.in}
	res, err := http.ReadResponse(bufio.NewReaderSize(counted, 16), nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("the first response: %s", res.Status))
	}
	l.response = make([]byte, counted.n)
	return res.Body.Close()
}

const okLine = "HTTP/1.1 200"

// countingReader counts what has been read.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// connectOurs opens connections with the cookies of a session, and cuts them.
func connectOurs() (*subject, error) {
	s, b, err := openOurs()
	if err != nil {
		return nil, err
	}
	v, err := s.plant()
	if err != nil {
		return nil, err
	}
	var opened atomic.Int64
	server := httptest.NewServer(b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if c.SessionID() != "" {
			opened.Add(1)
		}
		_, _, err := c.Read(ctx)
		return err
	}, nil))
	return connecting(server, v.request.Header.Get("Cookie"), &opened, s.close), nil
}

// connectBare does it with coder/websocket as it comes.
func connectBare() (*subject, error) {
	var opened atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		opened.Add(1)
		_, _, _ = ws.Read(context.Background())
		_ = ws.CloseNow()
	}))
	return connecting(server, "", &opened, func() error { return nil }), nil
}

// connecting opens connections to the server, some at once, and cuts each when it is open.
func connecting(server *httptest.Server, cookie string, opened *atomic.Int64, close func() error) *subject {
	addr := server.Listener.Addr().String()
	var shaken atomic.Int64
	return &subject{
		run: func(n int) error {
			var wg sync.WaitGroup
			errs := make([]error, shaking)
			for i := range shaking {
				share := (n + i) / shaking // these add up to n
				wg.Go(func() {
					for range share {
						conn, err := shakeHands(addr, cookie)
						if err != nil {
							errs[i] = err
							return
						}
						shaken.Add(1)
						_ = conn.Close()
					}
				})
			}
			wg.Wait()
			return errors.Join(errs...)
		},
		check: func(n int) error {
			if err := same("handshakes", int(shaken.Load()), n); err != nil {
				return err
			}
			return eventually(func() bool { return int(opened.Load()) == n }) // a handler may not have begun yet
		},
		close: func() error {
			server.CloseClientConnections()
			server.Close()
			return close()
		},
	}
}
