// Package registry knows which connections are open: by their ID, by client, by session, by user
// and by address.
//
// A connection is of any type; its [Entry] is its place here. It is added once and removed once. In
// between it may be parted from its session: because the session ended ([Registry.PartSession]),
// because a login replaced the token that the connection has proved ([Registry.PartOlder],
// [Registry.Learn]), or because there are too many connections ([Registry.Add], [Limits]). A
// connection that was parted stays registered until it is removed; [Registry.CloseOf] says how it
// is to be closed.
//
// For every session with connections the registry plans when to look whether the session is still
// alive, and calls [Config].Look then.
//
// A Registry is safe for concurrent use. It calls nothing and waits for nothing while it holds its
// lock, but the clock and Config.Hold and Config.Drop, whose locks are inner ones: what has to be
// closed is returned to the caller.
package registry
