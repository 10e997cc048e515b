// Package logins has the rules about the sessions that users and clients may have.
//
// A [Gate] destroys all sessions of a user, or all there are, although users log in meanwhile. The
// bulk destroy takes effect, as far as others can tell, at the moment at which it begins. Logins
// and new sessions that are on their way to the store at that moment come before it: it waits for
// them, and destroys them, too. Later ones come after it and survive. But a login to a session that
// is about to be destroyed destroys it instead, and fails with gateway.ErrGone. No login of this
// process waits for a bulk destroy. If the store is a store.UserLocker, the user's logins in all
// processes wait instead, and come after it.
//
// [Limits] keep the sessions of a user, and those of a client without a user, at a maximum. A login
// beyond it is refused, which is exact within one process; or it destroys those of the user's
// sessions that were active least recently, which is exact between processes, too, if the store is
// a store.Reserver. A new session of a client destroys the oldest.
//
// [Overtakes] limits how often the logins of a client may turn away its other requests, and
// [CheckUserID] which IDs users may have.
//
// A session is destroyed only at the revision at which it was selected: one that has become another
// user's meanwhile stays. The package logs nothing. It calls the store only through a gateway.
package logins
