package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// clientsVariable makes this program hold connections to the server that it names, as a child of
// the one that measures.
const clientsVariable = "SESSIONBRIDGE_BENCH_CLIENTS"

// listenVariable makes them read what the server sends.
const listenVariable = "SESSIONBRIDGE_BENCH_LISTEN"

func clientsWanted() bool { return os.Getenv(clientsVariable) != "" }

// clients opens a connection for each line of in, which is a Cookie header, up to an empty line. It
// says so, and closes them when in ends. Until then each further line is a question about what the
// clients have heard.
func clients(in io.Reader, out io.Writer) error {
	var open []net.Conn
	heard := newAudience()
	var listening sync.WaitGroup
	defer listening.Wait()
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	lines := bufio.NewScanner(in)
	for lines.Scan() && lines.Text() != "" {
		conn, err := shakeHands(os.Getenv(clientsVariable), lines.Text())
		if err != nil {
			return err
		}
		open = append(open, conn)
	}
	if os.Getenv(
		listenVariable,
	) != "" { // otherwise there is no reader's stack, and no more than a socket to a connection
		for _, conn := range open {
			listening.Go(func() { heard.listen(conn) })
		}
	}
	fmt.Fprintln(out, "open")
	for lines.Scan() {
		if err := heard.report(lines.Text(), out); err != nil {
			return err
		}
	}
	return lines.Err()
}

// shakeHands opens a WebSocket connection and nothing around it.
func shakeHands(addr, cookies string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\nCookie: %s\r\n\r\n", addr, cookies)
	if err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the handshake was answered with %s", res.Status)
	}
	return conn, err
}

// child is a running process of clients.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startPiped starts a process to talk to. What it complains of is seen.
func startPiped(cmd *exec.Cmd) (in io.WriteCloser, out io.ReadCloser, err error) {
	cmd.Stderr = os.Stderr
	if in, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		return nil, nil, err
	}
	return in, out, cmd.Start()
}

// startClients returns when a connection for each of the Cookie headers is open.
func startClients(addr string, cookies []string, env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), append(slices.Clone(env), clientsVariable+"="+addr)...)
	in, out, err := startPiped(cmd)
	if err != nil {
		return nil, err
	}
	c := &child{cmd, in, bufio.NewReader(out)}
	_, err = io.WriteString(in, strings.Join(cookies, "\n")+"\n\n")
	if err == nil {
		_, err = c.out.ReadString('\n')
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("clients: %w", err), c.stop())
	}
	return c, nil
}

// stop has the connections closed.
func (c *child) stop() error { return errors.Join(c.in.Close(), c.cmd.Wait()) }
