// Package closing decides how a connection is closed: once, with one code and reason.
//
// Each connection has a [State]. The first caller of [State.Begin] closes the connection. A close
// may be postponed, for an answer that is on its way: [State.Postpone] plans it, and
// [State.Pending] returns it to a caller that has a reason to do it earlier. [State.Finish] is for
// a connection that has ended without a close.
//
// A [Func] calls the function with which an application closes a connection of its own. The
// function is called at most once, and doesn't run any more when [Func.Stop] has returned, unless
// it takes longer than the limit of that wait.
//
// Both are safe for concurrent use. They are generic over the close, which they only pass on.
package closing
