package store

import (
	"context"
	"strings"
	"time"
)

// Keeper is implemented by stores that several processes share, and that keep messages for a limited
// time. The messages for one session or user form a log.
//
// A message has a number: the time at which it was kept, in microseconds since 1970 by the clock of
// the store, or one more than the number before it if that is greater. So numbers increase, even if
// the store has lost a log and begins another one. Each message also has the number before it:
// a reader who has seen that one has missed nothing in between.
type Keeper interface {
	// Keep appends a message to the log, and drops the oldest ones beyond the limits. Its Number and
	// Prev are ignored. ErrNotFound: the session doesn't exist. After another error the message may
	// have been kept.
	//
	// The nodes that hold to.Topic() as a client (Node.Hold) are notified with ChangeClient and no
	// ID, if and only if the message is kept, and perhaps more than once; the one through which it was
	// kept isn't notified.
	Keep(ctx context.Context, to KeptFor, m KeptMessage, limits KeepLimits) error

	// Kept returns the messages that are still kept and have a greater number than after, in order,
	// and the first and the last number of the log. A log that doesn't exist begins then, with the
	// time as its first and last number; one that begins with a message has 0 as its first number. It
	// exists for at least a week after the last call for it, or until its session ends;
	// a message until its time is over, or one of the limits drops it.
	Kept(ctx context.Context, to KeptFor, after uint64) (Kept, error)
}

// KeptFor is the session or the user for whom messages are kept: one of the fields is set. What is
// kept for a session is dropped when the session ends.
type KeptFor struct{ SessionID, UserID string }

// KeptMessage is a message of a log.
type KeptMessage struct {
	Number, Prev uint64 // its number, and the one before it in the log
	Binary       bool   // otherwise it is text
	Data         []byte
}

// KeepLimits limit how long a message is kept, and the messages of its log: their number, and the
// bytes of their Data as the store has it. All are positive. The last message is kept in any case.
type KeepLimits struct {
	For             time.Duration
	Messages, Bytes int
}

// Kept is the result of Keeper.Kept.
type Kept struct {
	First, Last uint64 // the numbers with which the log began, and of the last message
	Messages    []KeptMessage
}

// The prefixes of topics. No client's ID begins with a zero byte.
const (
	topicOfSession = "\x00kept session "
	topicOfUser    = "\x00kept user "
)

// Topic returns the name that a node holds as that of a client, to be notified of messages that are
// kept.
func (f KeptFor) Topic() string {
	if f.SessionID != "" {
		return topicOfSession + f.SessionID
	}
	return topicOfUser + f.UserID
}

// KeptTopic returns for whom the topic is; false if the name is no topic.
func KeptTopic(name string) (f KeptFor, ok bool) {
	if f.SessionID, ok = strings.CutPrefix(name, topicOfSession); ok {
		return f, true
	}
	f.SessionID = ""
	if f.UserID, ok = strings.CutPrefix(name, topicOfUser); ok {
		return f, true
	}
	return KeptFor{}, false
}
