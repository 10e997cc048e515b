package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
)

// sendAll sends n requests over so many connections, each after the answer to the one before. Every
// answer has to be a session with its values. It knows as little of HTTP as it needs, because its time
// is in the figures of both sides.
func sendAll(addr string, width, n int, request func(i int) []byte) error {
	var next atomic.Int64
	_, err := spread(width, width, func(context.Context, int) (_ int, err error) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		in, body := bufio.NewReaderSize(conn, 16<<10), []byte(nil)
		for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
			if _, err := conn.Write(request(i)); err != nil {
				return 0, err
			}
			if body, err = readAnswer(in, body); err != nil {
				return 0, err
			}
			if !bytes.Contains(body, []byte(sessionData[1:len(sessionData)-1])) {
				return 0, fmt.Errorf("an answer without the session: %s", body)
			}
		}
		return 0, nil
	})
	return err
}

// readAnswer returns the body of an answer, in the memory of the one before.
func readAnswer(in *bufio.Reader, body []byte) ([]byte, error) {
	length, status := -1, true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case status && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")):
			return nil, fmt.Errorf("the server answers %s", line)
		case len(line) == 0 && length < 0:
			return nil, errors.New("an answer without Content-Length")
		case len(line) == 0:
			body = append(body[:0], make([]byte, length)...)
			_, err := io.ReadFull(in, body)
			return body, err
		}
		status = false
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
}
