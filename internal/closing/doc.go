// Package closing decides how a connection is closed: once, with one code and reason.
//
// A [State] is the connection's. The first [State.Begin] wins, and its caller closes the
// connection. A close may be postponed, for an answer that is on its way: [State.Postpone] plans
// it, and [State.Pending] returns it to a caller that has a reason to do it earlier. What the
// connection ends with if nothing closes it is told to [State.Finish].
//
// A [Func] calls the function that closes a connection of an application's own. It is called at
// most once, and not any more when [Func.Stop] has returned, unless it takes longer than the limit.
//
// Both are safe for concurrent use. They are generic over the close, which they only pass on.
package closing
