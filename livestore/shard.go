package livestore

import (
	"sync"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/store"
)

// shard holds the sessions whose IDs hash to it. Its methods want mu to be held, init aside. Order of locks: a shard's, then
// one of the index by user, then one of the index by client.
type shard struct {
	mu       sync.Mutex
	looks    uint64        // how many readers took a payload; see quiet
	looked   atomic.Uint64 // how many of them are done with it
	sessions table
	expiry   order // by entry.due
	activity order // by entry.seen; every entry is in it

	users, clients *index
}

func (sh *shard) init(users, clients *index) {
	sh.users, sh.clients = users, clients
}

// look takes what a record is made of. The caller adds one to looked when it has copied it, outside the lock.
func (sh *shard) look(e *entry) look {
	sh.looks++
	return e.look()
}

// quiet reports whether nobody is still copying a payload of this shard. Then what is being removed belongs to the remover
// alone, for nobody can find it any more, and may be given away without a copy.
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

// rename gives e the names of rec, which has the same ID, and moves it in the indexes. Where it doesn't move it stays: a
// listing by a user that doesn't change must not miss it.
func (sh *shard) rename(e *entry, rec *store.Record, h hashes) {
	moveUser, moveClient := e.names.userID() != rec.UserID, e.names.clientID() != rec.ClientID
	users, clients := sh.users.part(e.hash[byUser]), sh.clients.part(e.hash[byClient])
	releaseUser, releaseClient := func() {}, func() {}
	if moveUser {
		users.remove(e)
	} else {
		releaseUser = users.hold(e)
	}
	if moveClient {
		clients.remove(e)
	} else {
		releaseClient = clients.hold(e)
	}
	e.names = makeNames(rec)
	if moveUser {
		e.hash[byUser] = h[byUser]
	}
	if moveClient {
		e.hash[byClient] = h[byClient]
	}
	releaseClient()
	releaseUser()
	if moveUser {
		sh.users.part(h[byUser]).add(e)
	}
	if moveClient {
		sh.clients.part(h[byClient]).add(e)
	}
}

// remove takes e out of the shard, and leaves the indexes to the caller.
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

// moveExpires moves the entry in the order only if it must expire before the time at which it stands. Otherwise the sweep
// that finds it there moves it: once per idle timeout, instead of at every Set.
func (sh *shard) moveExpires(e *entry, expires int64) {
	e.expires = expires
	if at := e.expiry(); at < e.due {
		sh.stopExpiring(e)
		sh.stand(e, at)
	}
}

// stand puts e at a place in the order by expiry, in which it isn't; never leaves it out.
func (sh *shard) stand(e *entry, at int64) {
	if e.due = at; at != never {
		sh.expiry.insert(at, e)
	}
}

// stopExpiring takes e out of the order by expiry.
func (sh *shard) stopExpiring(e *entry) {
	if e.due != never {
		sh.expiry.remove(e.due, e)
	}
	e.due = never
}
