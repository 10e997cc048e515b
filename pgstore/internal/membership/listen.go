package membership

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/store"
)

// listen receives the notifications of the node on a connection of its own, and connects again when
// it is lost. Without it, as through PgBouncer in transaction mode, the node reads its inbox once a
// second.
func (t *term) listen() {
	backoff := background.Backoff{}
	for {
		began := time.Now()
		t.listenOnce()
		backoff.Worked(began)
		if !backoff.Wait(t.Ctx) {
			return
		}
	}
}

func (t *term) listenOnce() {
	m := t.member
	connection, err := t.connect()
	if err != nil {
		return
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Ctx), time.Second)
		defer cancel()
		_ = connection.Close(ctx)
	}()
	limited, cancel := context.WithTimeout(t.Ctx, m.conn.Timeout)
	_, err = connection.Exec(limited, "LISTEN "+pgx.Identifier{channelPrefix + t.Name}.Sanitize())
	cancel()
	if err != nil {
		return
	}
	// Through PgBouncer, LISTEN may get a notification that comes while it is executed, and no other one.
	before := t.beats.Load()
	terms.Signal(t.listening)
	for {
		payload, err := t.next(connection)
		if err != nil {
			return
		}
		id, stored := strings.CutPrefix(payload, payloadStored)
		beat, own := strings.CutPrefix(payload, payloadOwn)
		switch {
		case own:
			if n, err := strconv.ParseInt(beat, 10, 64); err == nil && n > before {
				m.heard.Now()
			}
		case !stored:
			terms.Signal(t.wake)
		case m.held.Has(item{kindSession, id}):
			m.life.Report(store.Change{Kind: store.ChangeStored, ID: id})
		}
	}
}

// connect makes a connection beside the pool. A wait for a notification ends at once with its context:
// there is no statement to cancel, as on the connections of the pool.
func (t *term) connect() (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(t.Ctx, t.member.conn.Timeout)
	defer cancel()
	config := t.member.listen
	if config == nil {
		config = t.member.conn.Pool.Config().ConnConfig
	}
	config = config.Copy()
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	return pgx.ConnectConfig(limited, config)
}

// silence is how long a connection may deliver nothing, not even the node's own notifications, before
// it is replaced.
const silence = 5 * time.Second

// next waits for a notification.
func (t *term) next(connection *pgx.Conn) (payload string, err error) {
	limited, cancel := context.WithTimeout(t.Ctx, silence)
	defer cancel()
	for {
		note, err := connection.WaitForNotification(limited)
		if err != nil {
			return "", err
		}
		if note.Channel == channelPrefix+t.Name { // not that of another node, for which PgBouncer's connection listens
			return note.Payload, nil
		}
	}
}
