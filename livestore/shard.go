package livestore

import (
	"sync"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/store"
)

// shard holds the sessions whose IDs hash to it. Its methods, except init, require that mu is held.
// Lock order: a shard's, then one of the index by user, then one of the index by client.
type shard struct {
	mu       sync.Mutex
	looks    uint64        // number of readers that have taken a payload; see quiet
	looked   atomic.Uint64 // number of those that have copied it
	sessions table
	expiry   order // by entry.due
	activity order // by entry.seen; every entry is in it

	users, clients *index
}

func (sh *shard) init(users, clients *index) {
	sh.users, sh.clients = users, clients
}

// look returns the parts of a record. The caller copies them outside the lock, and then adds one to
// looked.
func (sh *shard) look(e *entry) look {
	sh.looks++
	return e.look()
}

// quiet reports whether no reader is copying a payload of this shard. A payload that is removed
// then can be handed over without a copy, because no other goroutine can find it.
func (sh *shard) quiet() bool { return sh.looked.Load() == sh.looks }

// hashes are those of a record's names.
type hashes [tables]uint32

func (sh *shard) create(rec *store.Record, h hashes, p payload) uint64 {
	e := &entry{
		names:    makeNames(rec),
		payload:  p,
		seen:     rec.Seen.UnixMicro(),
		expires:  noTime,
		due:      never,
		revision: 1,
		hash:     h,
	}
	sh.sessions.insert(e)
	sh.activity.insert(e.seen, e)
	sh.moveExpires(e, rec.Expires.UnixMicro())
	sh.users.part(h[byUser]).add(e)
	sh.clients.part(h[byClient]).add(e)
	return e.revision
}

func (sh *shard) update(e *entry, rec *store.Record, p payload) uint64 {
	if e.seen > rec.Seen.UnixMicro() {
		stored := store.Record{Seen: timeOf(e.seen)}
		store.KeepSeen(&stored, rec)
	}
	e.payload = p
	e.revision++
	sh.moveSeen(e, rec.Seen.UnixMicro())
	sh.moveExpires(e, rec.Expires.UnixMicro())
	return e.revision
}

// rename gives e the names of rec, which has the same ID, and moves it in the indexes whose name
// changes. A concurrent listing of a former name, and then of the new one, doesn't miss it.
func (sh *shard) rename(e *entry, rec *store.Record, h hashes) {
	defer sh.users.hold(e.hash[byUser], h[byUser])()
	defer sh.clients.hold(e.hash[byClient], h[byClient])()
	moveUser, moveClient := e.names.userID() != rec.UserID, e.names.clientID() != rec.ClientID
	if moveUser {
		sh.users.part(e.hash[byUser]).removeHeld(e)
	}
	if moveClient {
		sh.clients.part(e.hash[byClient]).removeHeld(e)
	}
	e.names = makeNames(rec)
	e.hash[byUser], e.hash[byClient] = h[byUser], h[byClient]
	if moveUser {
		sh.users.part(h[byUser]).addHeld(e)
	}
	if moveClient {
		sh.clients.part(h[byClient]).addHeld(e)
	}
}

// remove removes e from the shard, but not from the indexes.
func (sh *shard) remove(e *entry) {
	e.dead = true
	sh.sessions.unlink(sh.sessions.link(e))
	sh.activity.remove(e.seen, e)
	sh.stopExpiring(e)
}

func (sh *shard) moveSeen(e *entry, seen int64) {
	if e.seen == seen {
		return
	}
	sh.activity.remove(e.seen, e)
	e.seen = seen
	sh.activity.insert(seen, e)
}

// moveExpires moves the entry in the order only if it expires before its key. Otherwise the sweep
// that reaches the key moves it: once per idle timeout, instead of with every Set.
func (sh *shard) moveExpires(e *entry, expires int64) {
	e.expires = expires
	if at := e.expiry(); at < e.due {
		sh.stopExpiring(e)
		sh.stand(e, at)
	}
}

// stand inserts e into the order by expiry, in which it isn't, unless the key is never.
func (sh *shard) stand(e *entry, at int64) {
	if e.due = at; at != never {
		sh.expiry.insert(at, e)
	}
}

// stopExpiring removes e from the order by expiry.
func (sh *shard) stopExpiring(e *entry) {
	if e.due != never {
		sh.expiry.remove(e.due, e)
	}
	e.due = never
}
