package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// packet is a message between nodes: a header in JSON with its length before it, and then data: the
// payload of a question, or the items of an answer in JSON.
type packet struct {
	ID   uint64          `json:"id"`             // 0: it isn't to be answered
	Kind string          `json:"kind,omitempty"` // of a question; "" in an answer
	Body json.RawMessage `json:"body,omitempty"` // of a question

	// Of an answer.
	More   bool `json:"more,omitempty"`   // another piece follows
	Before int  `json:"before,omitempty"` // in the last piece: the number of pieces before it

	data []byte
	from string
}

var errPacket = errors.New("bridge: not a message of a node")

func (p *packet) encode() ([]byte, error) {
	head, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	raw := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(head)+len(p.data)), uint64(len(head)))
	return append(append(raw, head...), p.data...), nil
}

// decode reads a packet, whose data is a part of raw.
func decode(from string, raw []byte) (*packet, error) {
	n, size := binary.Uvarint(raw)
	if size <= 0 || n > uint64(len(raw)-size) {
		return nil, errPacket
	}
	p := &packet{from: from}
	if err := json.Unmarshal(raw[size:][:n], p); err != nil {
		return nil, errors.Join(errPacket, err)
	}
	p.data = raw[size:][n:]
	return p, nil
}
