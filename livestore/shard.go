package livestore

import (
	"strings"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

// shard holds the sessions whose IDs hash to it. Its methods want mu to be held, init aside. Order of locks: a shard's, then
// an index's.
type shard struct {
	mu       sync.Mutex
	sessions map[string]*entry
	peak     int   // most sessions since the map was made, see Optimize
	expiry   order // by entry.due
	activity order // by entry.seen; every entry is in it

	users, clients *index
}

func (sh *shard) init(users, clients *index) {
	sh.sessions = make(map[string]*entry)
	sh.users, sh.clients = users, clients
}

func (sh *shard) create(rec *store.Record, data string) uint64 {
	e := &entry{
		id:       strings.Clone(rec.ID),
		revision: 1,
		seen:     rec.Seen.UnixMicro(),
		expires:  noTime,
		due:      never,
	}
	e.copyFrom(rec, data)
	sh.sessions[e.id] = e
	sh.peak = max(sh.peak, len(sh.sessions))
	sh.activity.insert(e.seen, e)
	sh.moveExpires(e, rec.Expires.UnixMicro())
	sh.users.move(&e.userID, rec.UserID, e)
	sh.clients.move(&e.clientID, rec.ClientID, e)
	return e.revision
}

func (sh *shard) update(e *entry, rec *store.Record, data string) uint64 {
	if e.seen > rec.Seen.UnixMicro() {
		stored := store.Record{Seen: timeOf(e.seen)}
		store.KeepSeen(&stored, rec)
	}
	e.copyFrom(rec, data)
	e.revision++
	sh.moveSeen(e, rec.Seen.UnixMicro())
	sh.moveExpires(e, rec.Expires.UnixMicro())
	sh.users.move(&e.userID, rec.UserID, e)
	sh.clients.move(&e.clientID, rec.ClientID, e)
	return e.revision
}

// remove takes e out of everything. Its strings stay as they are, for whoever removes it wants to know what it was.
func (sh *shard) remove(e *entry) {
	e.dead = true
	delete(sh.sessions, e.id)
	sh.activity.remove(e.seen, e)
	sh.stand(e, never)
	sh.users.remove(e.userID, e)
	sh.clients.remove(e.clientID, e)
}

func (sh *shard) moveSeen(e *entry, seen int64) {
	if e.seen == seen {
		return
	}
	sh.activity.remove(e.seen, e)
	e.seen = seen
	sh.activity.insert(seen, e)
}

// moveExpires moves the entry in the order only if it must expire before the time at which it stands. Otherwise the sweep
// that finds it there moves it: once per idle timeout, instead of at every Set.
func (sh *shard) moveExpires(e *entry, expires int64) {
	e.expires = expires
	if at := e.expiry(); at < e.due {
		sh.stand(e, at)
	}
}

// stand puts e at a place in the order by expiry; never takes it out.
func (sh *shard) stand(e *entry, at int64) {
	if e.due != never {
		sh.expiry.remove(e.due, e)
	}
	e.due = at
	if at != never {
		sh.expiry.insert(at, e)
	}
}
