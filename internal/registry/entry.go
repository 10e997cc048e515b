package registry

import "time"

// Entry is a connection's place in a Registry. The exported fields are set before Add and don't
// change afterwards.
type Entry struct {
	ID       string
	Name     string // of the application's; "" for none
	ClientID string
	Addr     string
	OpenedAt time.Duration // of any one clock: the smallest is the oldest
	Naming   Naming        // of Name
	NoAddr   bool          // it is not counted among the connections of an address
	Fixed    bool          // it doesn't follow its client to another session
	linked   bool          // guarded as those below: it has a session, that of lastID

	// Guarded by the registry's lock once the connection is added.
	lastID    string        // the session that it has, or had last; "" for none
	userID    string        // the user of that session, as last known
	proved    uint64        // the token generation that opened it; 0: it follows any
	device    uint64        // the login whose binding to a device has been proved; 0: none was in force
	inClient  int32         // index in the client's list
	inSession int32         // index in the session's list
	parted    *Close        // how it is to be closed since it lost its session
	freed     chan struct{} // closed by Free; nil: nothing waits for it
}

// Naming says what becomes of a connection that is added with the name of others that are open.
type Naming uint8

// The namings.
const (
	ShareName   Naming = iota // they share it
	RefuseName                // the new one is refused
	ReplaceName               // it takes the place of the others
)

// Attach gives the connection its session, before it is added. proved is the generation of the
// session's token that it has proved; a connection with 0 is cut by no login. device is that of the
// login whose binding to a device it has proved, 0 if none was in force.
func (e *Entry) Attach(sessionID, userID string, proved, device uint64) {
	e.lastID, e.linked, e.userID, e.proved, e.device = sessionID, sessionID != "", userID, proved, device
}

// session returns the ID of the connection's session, "" while it has none.
func (e *Entry) session() string {
	if !e.linked {
		return ""
	}
	return e.lastID
}

// ShutOut reports whether a login with this generation shuts out a connection that has proved a
// token of the generation proved.
func ShutOut(proved, login uint64) bool { return proved != 0 && proved < login }

// Close is a close code and its reason. The zero value is none.
type Close struct {
	Code   int
	Reason string
}
