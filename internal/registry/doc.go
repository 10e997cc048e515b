// Package registry knows which connections are open: by their ID, by name, by client, by session,
// by user and by address.
//
// A connection is of any type; its [Entry] is its place here. It is added once and removed once. In
// between it may be parted from its session: because the session ended ([Registry.PartSession]),
// because a login replaced the token that the connection has proved ([Registry.PartOlder],
// [Registry.Learn]), because there are too many connections ([Registry.Add], [Limits]), or because
// a newer one takes over its name ([ReplaceName]). A connection that was parted stays registered
// until it is removed; [Registry.CloseOf] says how it is to be closed. After its removal its ID stays
// taken until [Registry.Free], so that its end can be reported first.
//
// A [Selection] says which connections receive a message, a [Filter] which are listed or closed.
//
// For every session with connections the registry plans when to look whether the session is still
// alive, and calls [Config].Look then.
//
// A Registry is safe for concurrent use. Under its lock it calls only the clock and functions of
// its Config, whose locks are inner ones. The caller closes the connections that it returns.
package registry
