package sealed

// sealMessage returns a message between nodes as an envelope.
func (c *core) sealMessage(app string, data []byte) ([]byte, error) {
	return c.sealData(messageMagic, data, messageBound(app))
}

// sealData returns data that isn't a record as an envelope.
func (c *core) sealData(magic string, data, bound []byte) ([]byte, error) {
	envelope, aead, err := c.newEnvelope(nil, magic, &c.keys[0].messages, len(data))
	if err != nil {
		return nil, err
	}
	return aead.Seal(envelope, envelope[nonceAt:boxAt], data, bound), nil
}

// openMessage returns the message in an envelope. Errors match ErrUnopenable.
func (c *core) openMessage(app string, envelope []byte) ([]byte, error) {
	if c.readPlain && !isSealed(envelope) {
		return envelope, nil
	}
	return c.openData(messageMagic, envelope, messageBound(app))
}

// openData is the reverse of sealData. Errors match ErrUnopenable.
func (c *core) openData(magic string, envelope, bound []byte) ([]byte, error) {
	k, err := c.keyOf(envelope, magic)
	if err != nil {
		return nil, err
	}
	return k.messages.open(nil, envelope, bound)
}

func messageBound(app string) []byte { return appendText([]byte(messageMagic), app) }
