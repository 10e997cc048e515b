// Package reporting writes the log lines of a Bridge, and reports failures for which there is no
// caller to return them to.
//
// Each line "failed" comes with a [Failure] for the subscribers ([Config].Emit), which has the same
// content; so does a panic of the application's code, whose value and stack are in the log only.
// Sessions and clients are named by keyed hashes of their IDs.
//
// The audit log ([Reporter.Audit]) has a line for each event in the life of a session. A line that
// any client can cause is limited in its rate ([Reporter.AuditRefusal]).
//
// A goroutine of the application writes its lines itself ([Reporter.Failed]). One that must not wait
// for a slow slog.Handler puts them into a queue ([Reporter.FailedAside], [Reporter.Aside]), or
// waits for a limited time ([Reporter.FailedInTime], [Reporter.Panicked]). A Reporter holds no lock
// while it calls the Handler, and is safe for concurrent use.
package reporting
