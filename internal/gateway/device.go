package gateway

import "encoding/json"

// deviceKey has the key of the device that the session is bound to. It is kept with the values, as
// browserKey is, but a login of another user removes it.
const deviceKey = reservedPrefix + "device"

// Device returns what SetDevice has stored in a session with the data, "" for nothing.
func Device(data []byte) (state string) {
	if raw := stored(data, deviceKey); raw != nil {
		_ = json.Unmarshal(raw, &state) // otherwise it is not SetDevice's
	}
	return state
}

// deviceBytes returns how many bytes of the data are what SetDevice has stored. They don't count
// towards MaxValueBytes: a session whose values leave no room can be bound, too.
func deviceBytes(data []byte) int {
	raw := stored(data, deviceKey)
	if raw == nil {
		return 0
	}
	return len(raw) + len(`"":,`) + len(deviceKey)
}

// SetDevice stores the key of the session's device and the state of its proofs. The commit is no
// activity of the session.
func (d *Draft) SetDevice(state string) {
	raw, err := json.Marshal(state)
	if err != nil {
		d.Fail(err)
	}
	d.PutStored(deviceKey, raw)
	d.other().inactive = true
}

// unbinds reports whether the draft logs another user in than that of cur.
func (o *otherEdits) unbinds(user string) bool {
	return o.token != nil && o.token.login != nil && o.token.login.UserID != user
}
