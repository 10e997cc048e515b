package sealed

// sealMessage returns a message between nodes as an envelope.
func (c *core) sealMessage(app string, data []byte) ([]byte, error) {
	envelope, err := c.newEnvelope(messageMagic, len(data))
	if err != nil {
		return nil, err
	}
	return c.keys[0].messages.Seal(envelope, envelope[nonceAt:boxAt], data, messageBound(app)), nil
}

// openMessage returns the message in an envelope. Errors match ErrUnopenable.
func (c *core) openMessage(app string, envelope []byte) ([]byte, error) {
	if c.readPlain && !isSealed(envelope) {
		return envelope, nil
	}
	k, err := c.keyOf(envelope, messageMagic)
	if err != nil {
		return nil, err
	}
	data, err := k.messages.Open(nil, envelope[nonceAt:boxAt], envelope[boxAt:], messageBound(app))
	if err != nil {
		return nil, errForged
	}
	return data, nil
}

func messageBound(app string) []byte { return appendText([]byte(messageMagic), app) }
