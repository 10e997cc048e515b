package redisstore

import (
	"errors"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
)

var (
	// ErrTimeout: Redis did not reply within Options.Timeout. Whether a change was made is unknown.
	ErrTimeout = conn.ErrTimeout
	// ErrShards: the store was created with a number of shards that differs from Options.Shards.
	ErrShards = errors.New("redisstore: different number of shards")
	// ErrServer: the server is unsuitable for sessions: it is too old, a replica, or evicts keys
	// when its memory is full.
	ErrServer = conn.ErrServer
	// ErrReplicas: the change was made, but fewer replicas than Options.WaitReplicas have it yet. A
	// failover now would undo it.
	ErrReplicas = conn.ErrReplicas
	// ErrDamaged: Redis has data that this package didn't store. Another program, or a later
	// version of this package, writes to the keys of the namespace.
	ErrDamaged = conn.ErrDamaged
	// ErrLockLost: a lock on a user was lost for a time, because Redis was unreachable for long or
	// lost acknowledged writes. The user may have logged in meanwhile.
	ErrLockLost = errors.New("redisstore: the lock was lost for a time")
)
