// Package tracking keeps what a process knows of its sessions in step with the store and with the
// other nodes on it: the map of clients (internal/clientmap) and the sessions of the open
// connections (internal/registry).
//
// A commit of this process comes to [Tracker.Committed], a change of another node to
// [Tracker.ChangedElsewhere]. Where a notification may have been missed, the session is loaded
// again ([Tracker.Recheck]). A session that the store doesn't have any more ends here, too
// ([Tracker.Missing]); one that the store can't tell about is checked again later, and its
// connections are closed if that lasts.
//
// The package promises that:
//   - a connection that a login excludes is parted from its session before Committed returns, or as
//     soon as the login is known here;
//   - each login, and each session that is attached, is reported once in each process;
//   - a session that has ended is reported by the gateway, in the order of its commits.
//
// It reports by functions of its [Config], and closes connections by them. It calls neither under a
// lock of its own.
package tracking
