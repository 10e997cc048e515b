package membership

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// heartbeat is how often a node renews its lease, and reads its inbox even without a notification.
const heartbeat = time.Second

// changeKept is the kind of an entry about a message that was kept. Its client is the codec.Topic.
const changeKept store.ChangeKind = 100

// entriesAtOnce is the number of inbox entries that a statement returns at once.
const entriesAtOnce = 500

// readInbox renews the lease, and reports the entries of the inbox in their order. If the server no
// longer knows the node, the term ends.
func (t *term) readInbox() {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-t.Ctx.Done():
			return
		case <-ticker.C:
			t.renew()
			t.read()
		case <-t.listening:
			t.renew()
			t.read()
		case <-t.wake:
			t.read()
		}
	}
}

// renew reports whether the server knows the node.
func (t *term) renew() (known bool) {
	m := t.member
	err := m.conn.RepeatRow(t.Ctx, "renewing the lease", []any{&known}, m.statements.renew, t.Name, t.beats.Add(1))
	if err != nil {
		return false
	}
	m.answered.Now()
	if !known {
		t.End()
	}
	return known
}

// read reports the entries of the inbox, which are removed from it. After an error the entries may be
// removed without having arrived. That is reported once the server is known to know the node still:
// otherwise the next term reports it, when the node is notified again of what it holds.
func (t *term) read() {
	m := t.member
	var changes []store.Change
	err := m.conn.Query(t.Ctx, "reading the inbox", func(rows pgx.Rows) error {
		var seq int64
		var kind int16
		var c store.Change
		err := rows.Scan(&seq, &kind, &c.ID, &c.ClientID, &c.Reason, &c.From, &c.Data)
		c.Kind = store.ChangeKind(kind) //nolint:gosec // a small number
		changes = append(changes, c)
		return err
	}, m.statements.inbox, t.Name, entriesAtOnce)
	if err != nil {
		t.missed = true
		return
	}
	m.answered.Now()
	if t.missed {
		if !t.renew() {
			return // these entries are missed, too
		}
		t.missed = false
		m.life.Report(store.Change{Kind: store.ChangeMissed})
	}
	for _, c := range changes {
		if t.Ctx.Err() != nil {
			return
		}
		if t.concerns(&c) {
			m.life.Report(c)
		}
	}
	if len(changes) == entriesAtOnce {
		terms.Signal(t.wake)
	}
}

// concerns completes a change, and reports whether the node is to be notified of it. A change of an
// unknown kind, which a later version may have written, is a missed one.
func (t *term) concerns(c *store.Change) bool {
	held := &t.member.held
	switch c.Kind {
	case store.ChangeAccess:
		c.Data = nil
		return held.Has(item{kindSession, c.ID})
	case store.ChangeEnded:
		c.Data = nil
		return held.Remove(item{kindSession, c.ID})
	case store.ChangeClient:
		c.Data = nil
		return held.Has(item{kindClient, c.ClientID})
	case store.ChangeMessage:
		return true
	case changeKept:
		topic := c.ClientID
		*c = store.Change{Kind: store.ChangeClient, ClientID: codec.KeptFor(topic).Topic()}
		return held.Has(item{kindKept, topic})
	}
	*c = store.Change{Kind: store.ChangeMissed}
	return true
}
