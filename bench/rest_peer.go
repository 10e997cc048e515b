package main

import (
	"bufio"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

//go:embed peers/restsessions
var restSessionsFiles embed.FS

// restSessions is rest-sessions 2.0.1. npm doesn't have it: its app.js is here, under its licence, and
// npm installs what that needs.
var restSessions = nodePackage{"rest-sessions-2.0.1", "express", restSessionsFiles}

// peer serves rest-sessions, without its log.
func (a *restArena) peer() (*subject, error) {
	if err := a.start(); err != nil {
		return nil, err
	}
	cmd, err := restSessions.command(a.progress, "peer.js")
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, "RS_REDISPORT="+strconv.Itoa(a.redis.port), "RS_LOGLEVEL=none")
	in, out, err := startPiped(cmd)
	if err != nil {
		return nil, err
	}
	s := &restServer{close: func() error { return errors.Join(in.Close(), cmd.Wait()) }}
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rest-sessions: %w", err), s.close())
	}
	s.addr = "127.0.0.1:" + strings.TrimSpace(port)
	for i := range a.sessions() {
		token, err := createInPeer(s.addr, userOf(i))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.gets = append(s.gets, fmt.Appendf(nil, "GET /bench/get/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", token))
	}
	return a.subject(s)
}

func createInPeer(addr, user string) (token string, err error) {
	at := "http://" + addr + "/bench/create/" + user + "?ip=192.0.2.1&ttl=86400"
	r, err := http.NewRequest(http.MethodPut, at, strings.NewReader(sessionData))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	var made struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || made.Token == "" {
		return "", errors.Join(fmt.Errorf("rest-sessions: create: status %d", res.StatusCode), err)
	}
	return made.Token, nil
}
