package admin

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// listConns lists the open connections.
func (c *call) listConns() error {
	limit, err := queryInt(c.params, "limit", pageSize, 0, maxPage)
	if err != nil {
		return err
	}
	return c.streamConns(bridge.ConnFilter{}, limit)
}

// searchConns is listConns with a filter in the body.
func (c *call) searchConns() error {
	in, err := c.body(true)
	if err != nil {
		return err
	}
	f, limit := filterConns(in), in.Int("limit", pageSize, 0, maxPage)
	if err := in.Err(); err != nil {
		return err
	}
	return c.streamConns(f, limit)
}

func (c *call) streamConns(f bridge.ConnFilter, limit int) error {
	return c.stream(func(w *bufio.Writer) error {
		out, end := listWriter{out: w}, listEnd{Complete: true}
		if err := out.begin("conns"); err != nil {
			return err
		}
		for info, err := range c.b.Conns(c.ctx(), f) {
			all, err := complete(err)
			if err != nil {
				return err
			}
			if end.Complete = all; !all {
				break
			}
			if limit > 0 && out.n == limit {
				end.Complete = false
				break
			}
			if err := out.add(toConnJSON(&info)); err != nil {
				return err
			}
		}
		return out.end(end)
	})
}

// connID returns the ID in the path.
func (c *call) connID() (string, error) {
	id := c.r.PathValue("id")
	if !isConnID(id) {
		return "", bridge.ErrConnMissing
	}
	return id, nil
}

func (c *call) getConn() error {
	id, err := c.connID()
	if err != nil {
		return err
	}
	info, err := c.b.Conn(c.ctx(), id)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, toConnJSON(&info))
}

// closing reads the code and the reason of a close.
func closing(in *strictjson.Object) (code int, reason string) {
	code, reason = in.Int("code", 1000, 1000, 4999), in.String("reason")
	own := code == bridge.CodePolicy || code >= bridge.CodeFailed && code <= bridge.CodeUnavailable
	if code != 1000 && !own && code < 3000 {
		in.Fail("code", "it must be 1000, 1008, 1011 to 1013 or 3000 to 4999")
	}
	if len(reason) > 123 {
		in.Fail("reason", "it must be at most 123 bytes")
	}
	return code, reason
}

// closeConn begins to close one connection.
func (c *call) closeConn() error {
	id, err := c.connID()
	if err != nil {
		return err
	}
	in, err := c.body(true)
	if err != nil {
		return err
	}
	code, reason := closing(in)
	if err := in.Err(); err != nil {
		return err
	}
	closed, err := c.b.CloseConn(c.ctx(), id, code, reason)
	switch {
	case err != nil && !closed:
		return err
	case !closed:
		return bridge.ErrConnMissing
	}
	return c.noContent()
}

// closed is the answer of closeConns.
type closed struct {
	Closed   int  `json:"closed"`
	Complete bool `json:"complete"`
}

// closeConns closes the connections that match a filter, such as those that are older than a time.
func (c *call) closeConns() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	f := filterConns(in)
	code, reason := closing(in)
	if err := in.Err(); err != nil {
		return err
	}
	if f == (bridge.ConnFilter{}) {
		return badField("session", "it or another filter is required")
	}
	n, err := c.b.CloseConns(c.ctx(), f, code, reason)
	all, err := complete(err)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, closed{c.count(n), all})
}

// accepted is the answer of notify.
type accepted struct {
	Accepted int  `json:"accepted"`
	Complete bool `json:"complete"`
}

// notify sends a message to connections.
func (c *call) notify() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	to := receivers(in)
	payload, binary := message(in)
	if err := in.Err(); err != nil {
		return err
	}
	send := c.b.Notify
	if binary {
		send = c.b.NotifyBinary
	}
	n, err := send(c.ctx(), to, payload)
	all, err := complete(err)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, accepted{c.count(n), all})
}

// maxReceivers is how many connections a message may name.
const maxReceivers = 10_000

// receivers reads to: exactly one of its fields, and perhaps except.
func receivers(in *strictjson.Object) (to bridge.To) {
	o := in.Object("to")
	if o == nil {
		in.Fail("to", "it is required")
		return to
	}
	to = bridge.To{
		SessionID: id(o, "session"), ClientID: id(o, "client"), UserID: user(o, "user"),
		Name: shortText(o, "name", maxName), All: o.Bool("all", false),
		Conns: o.Strings("conns", maxReceivers), Except: connID(o, "except"),
	}
	n := 0
	for _, field := range []string{"session", "client", "user", "name", "all", "conns"} {
		if o.Has(field) {
			n++
		}
	}
	for i, id := range to.Conns {
		if !isConnID(id) {
			o.Fail(fmt.Sprintf("conns.%d", i), "it must have 1 to 100 letters, digits, _ and -")
		}
	}
	switch {
	case n != 1:
		o.Fail("", "it must have exactly one of session, client, user, name, all and conns")
	case o.Has("all") && !to.All:
		o.Fail("all", "it must be true")
	case o.Has("conns") && len(to.Conns) == 0:
		o.Fail("conns", "it must not be empty")
	case o.Has("conns") && o.Has("except"):
		o.Fail("except", "leave the connection out of conns")
	}
	return to
}

// message reads the message: one of text, json and binary.
func message(in *strictjson.Object) (payload []byte, binary bool) {
	n := 0
	for _, field := range []string{"text", "json", "binary"} {
		if in.Has(field) {
			n++
		}
	}
	text, raw, encoded := in.String("text"), in.Raw("json"), in.String("binary")
	switch {
	case n != 1:
		in.Fail("text", "exactly one of text, json and binary is required")
	case raw != nil:
		return raw, false
	case in.Has("binary"):
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			in.Fail("binary", "it must be base64")
		}
		return data, true
	}
	return []byte(text), false
}

// presenceJSON says that a user is connected.
type presenceJSON struct {
	User  string `json:"user"`
	Conns int    `json:"conns"`
}

// listPresence lists the users who have connections.
func (c *call) listPresence() error {
	connected, end, err := c.connected(bridge.ConnFilter{})
	if err != nil {
		return err
	}
	return c.streamPresence(slices.Sorted(maps.Keys(connected)), connected, end)
}

// maxUsers is how many users searchPresence is asked about.
const maxUsers = 1000

// searchPresence says of some users how many connections they have.
func (c *call) searchPresence() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	users := in.Strings("users", maxUsers)
	for i, u := range users {
		if !isUser(u) {
			in.Fail(fmt.Sprintf("users.%d", i), "it must be 1 to 255 bytes without NUL")
		}
	}
	if len(users) == 0 {
		in.Fail("users", "it must name a user")
	}
	if err := in.Err(); err != nil {
		return err
	}
	var f bridge.ConnFilter
	if len(users) == 1 {
		f.UserID = users[0]
	}
	connected, end, err := c.connected(f)
	if err != nil {
		return err
	}
	return c.streamPresence(users, connected, end)
}

// connected counts the connections of each user, on all nodes.
func (c *call) connected(f bridge.ConnFilter) (map[string]int, listEnd, error) {
	users, end := make(map[string]int), listEnd{Complete: true}
	for info, err := range c.b.Conns(c.ctx(), f) {
		if errors.Is(err, bridge.ErrNodeSilent) {
			end.Complete = false
			break
		}
		if err != nil {
			return nil, end, err
		}
		if info.UserID != "" {
			users[info.UserID]++
		}
	}
	return users, end, nil
}

func (c *call) streamPresence(users []string, connected map[string]int, end listEnd) error {
	return c.stream(func(w *bufio.Writer) error {
		out := listWriter{out: w}
		if err := out.begin("users"); err != nil {
			return err
		}
		for _, u := range users {
			if err := out.add(presenceJSON{u, connected[u]}); err != nil {
				return err
			}
		}
		return out.end(end)
	})
}
