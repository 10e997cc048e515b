package outbox

// Message is a message for a connection. All queues that hold it share its data, which must not
// change.
type Message struct {
	Data   []byte
	Binary bool // otherwise the data is text
}
