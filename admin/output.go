package admin

import (
	"bufio"
	"encoding/json"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// sessionJSON is a session in an answer. A field that doesn't apply is absent.
type sessionJSON struct {
	ID        string    `json:"id"`
	Client    string    `json:"client"`
	User      string    `json:"user,omitempty"`
	Addr      string    `json:"addr,omitempty"`
	UserAgent string    `json:"userAgent,omitempty"`
	Created   time.Time `json:"created"`
	Seen      time.Time `json:"seen"`
	LoggedIn  time.Time `json:"loggedIn,omitzero"` // not in lists
	Expires   time.Time `json:"expires,omitzero"`  // never
	Idle      float64   `json:"idle,omitempty"`    // seconds; no limit
	Lifetime  float64   `json:"lifetime,omitempty"`
	ReadsHere uint64    `json:"readsHere"`
	Writes    uint64    `json:"writes"`
	Revision  uint64    `json:"revision"`
	Bytes     int       `json:"bytes"`
	ConnsHere int       `json:"connsHere"`

	Data json.RawMessage `json:"data,omitzero"` // an object; not in lists
}

func infoJSON(i *bridge.Info) sessionJSON {
	return sessionJSON{
		ID: i.ID, Client: i.ClientID, User: i.UserID, Addr: i.Addr, UserAgent: i.UserAgent,
		Created: i.Created, Seen: i.Seen, Expires: i.Expires, Idle: i.Idle.Seconds(), Lifetime: i.Lifetime.Seconds(),
		ReadsHere: i.ReadsHere, Writes: i.Writes, Revision: i.Revision, Bytes: i.Bytes, ConnsHere: i.Conns,
	}
}

// toJSON returns the session with its values.
func toJSON(s *bridge.Session) (sessionJSON, error) {
	info := s.Info()
	out := infoJSON(&info)
	out.LoggedIn = s.LoggedIn()
	var err error
	out.Data, err = dataOf(s)
	return out, err
}

// dataOf returns the values of a session, an object.
func dataOf(s *bridge.Session) (data json.RawMessage, err error) {
	err = s.Decode(&data)
	return data, err
}

// trafficJSON is a bridge.Traffic.
type trafficJSON struct {
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// connJSON is a connection in an answer.
type connJSON struct {
	ID        string      `json:"id"`
	Session   string      `json:"session,omitempty"`
	Client    string      `json:"client"`
	User      string      `json:"user,omitempty"`
	Name      string      `json:"name,omitempty"`
	Addr      string      `json:"addr,omitempty"`
	UserAgent string      `json:"userAgent,omitempty"`
	Connected time.Time   `json:"connected"`
	Active    time.Time   `json:"active"`
	Received  trafficJSON `json:"received"`
	Sent      trafficJSON `json:"sent"`
	Remote    bool        `json:"remote"`
	Node      string      `json:"node,omitempty"`
}

func toConnJSON(i *bridge.ConnInfo) connJSON {
	return connJSON{
		ID: i.ID, Session: i.SessionID, Client: i.ClientID, User: i.UserID, Name: i.Name, Addr: i.Addr,
		UserAgent: i.UserAgent, Connected: i.ConnectedAt.UTC(), Active: i.ActiveAt.UTC(),
		Received: trafficJSON(i.Received), Sent: trafficJSON(i.Sent), Remote: i.Remote, Node: i.Node,
	}
}

// listWriter writes an object with an array, element by element, and then other members.
type listWriter struct {
	out *bufio.Writer
	n   int
}

// begin writes the beginning, up to the elements.
func (l *listWriter) begin(name string) error {
	_, err := l.out.WriteString(`{"` + name + `":[`)
	return err
}

func (l *listWriter) add(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if l.n++; l.n > 1 {
		_ = l.out.WriteByte(',') // the next write has the error, too
	}
	_, err = l.out.Write(text)
	return err
}

// listEnd are the members after the elements.
type listEnd struct {
	Next     string `json:"next,omitempty"` // the cursor of the next page
	Complete bool   `json:"complete"`       // every node has answered
}

func (l *listWriter) end(e listEnd) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, _ = l.out.WriteString("],") // as in add
	_, _ = l.out.Write(text[1:])
	return l.out.WriteByte('\n')
}
