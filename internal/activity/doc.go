// Package activity says which sessions were active within a time before now.
//
// The store records activity at intervals only ([Config].TouchInterval). For a time that is not
// longer than that, [Activity.Sessions] and [Activity.Count] add what the processes remember and
// haven't recorded yet: this one ([Config].Since), and the other nodes ([Config].Ask), each of which
// answers a [Question] with [Activity.Answer]. Questions and answers travel as JSON.
//
// If a node doesn't answer, the results of the others count, with [cluster.ErrSilent]. An Activity
// is safe for concurrent use, and holds no lock.
package activity
