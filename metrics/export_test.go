package metrics

// FailureKind is for tests.
var FailureKind = failureKind
