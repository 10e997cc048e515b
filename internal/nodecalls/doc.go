// Package nodecalls has the questions that the nodes on one store ask each other: how they are, and
// about their connections: who is connected, how many are, send them a message, close them.
//
// [Calls] asks those of the other nodes that may have the connections, and answers for this one. A
// node doesn't answer a kind of question that it doesn't know; a field that it doesn't know has no
// effect, so a question in which such a field must not be ignored gets a kind of its own.
//
// A method that asks returns cluster.ErrSilent if a node has not answered in time; the results of
// the others count. Without a cluster.Node there are no other nodes, and it returns nil.
package nodecalls
