package bridge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// packet is what nodes send one another: JSON with its length before it, and after it the payload of a message to connections. What a later version
// asks for is not answered by an earlier one.
type packet struct {
	Question *question `json:"q,omitempty"`
	Answer   *answer   `json:"a,omitempty"`
}

// question is what a node asks another to do. Exactly one of its fields besides ID is set.
type question struct {
	ID     uint64      `json:"id"`
	Notify *askNotify  `json:"notify,omitempty"`
	Conns  *ConnFilter `json:"conns,omitempty"`
	Count  bool        `json:"count,omitempty"` // the connections of each session
	Close  *askClose   `json:"close,omitempty"`
}

type askNotify struct {
	To     To   `json:"to"`
	Binary bool `json:"binary,omitempty"`
}

// askClose is CloseConn or CloseConns.
type askClose struct {
	ConnID string      `json:"conn,omitempty"`
	Filter *ConnFilter `json:"filter,omitempty"`
	Code   int         `json:"code"`
	Reason string      `json:"reason,omitempty"`
}

// answer is what a node answers, in several pieces if that is much.
type answer struct {
	ID     uint64         `json:"id"`
	N      int            `json:"n,omitempty"`
	Conns  []ConnInfo     `json:"conns,omitempty"`
	Counts map[string]int `json:"counts,omitempty"`
	More   bool           `json:"more,omitempty"`   // another piece follows
	Before int            `json:"before,omitempty"` // of the last piece: how many there were before it
	from   string
}

var errPacket = errors.New("bridge: not what a node sends")

func (p *packet) encode(payload []byte) ([]byte, error) {
	head, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	data := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(head)+len(payload)), uint64(len(head)))
	return append(append(data, head...), payload...), nil
}

func (p *packet) decode(data []byte) (payload []byte, err error) {
	n, size := binary.Uvarint(data)
	if size <= 0 || n > uint64(len(data)-size) {
		return nil, errPacket
	}
	rest := data[size:]
	if err := json.Unmarshal(rest[:n], p); err != nil {
		return nil, errors.Join(errPacket, err)
	}
	return rest[n:], nil
}
