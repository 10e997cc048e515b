// Package periodic runs a task in the background at intervals.
//
// An interval begins when the task has returned or panicked, so a task never runs twice at a time.
// [Task.Stop] ends the context of a run that is under way, and doesn't wait for it. A Task that
// waits costs one deadline of a clock. It is safe for concurrent use. Its lock is not held while the
// task runs.
package periodic
