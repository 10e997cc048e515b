// Package presence tells which users come online and go offline: who has a connection on any node.
//
// Each node knows its own users. Once a node observes ([Tracker.Observe]), it polls all nodes: at once,
// every two seconds, and whenever one of them hints that something has changed ([Tracker.Hint]). A node
// that is polled counts the changes of its users from then on, and answers with those that the other
// one doesn't know yet ([Tracker.Answer]), or with all users. A node that leaves two polls in a row
// unanswered has no users any more. So the result is right in the end, whatever hints are lost and
// whatever nodes die.
//
// A user is online with the first connection, and offline when the last one has been gone for a grace.
// The users who are online when a node begins to observe are not reported. Who comes before the first
// answers do is: an answer says how long its users have been there. In doubt, within what the answer
// takes, a user is reported.
//
// While no node observes, nothing is recorded and nothing is sent. A Tracker is safe for concurrent
// use. It calls [Config].Emit under its lock, and the other functions under none.
package presence
