package strictjson

import "encoding/json"

// Merge returns the target with a merge patch applied (RFC 7396). Both are values that Check
// accepts; a nil target is an absent one. A null in an object of the patch removes the member; a
// patch that is no object replaces the target.
func Merge(target, patch json.RawMessage) json.RawMessage {
	changes := members(patch)
	if changes == nil {
		return patch
	}
	merged := members(target)
	if merged == nil {
		merged = make(map[string]json.RawMessage, len(changes))
	}
	for name, change := range changes {
		if string(change) == "null" {
			delete(merged, name)
		} else {
			merged[name] = Merge(merged[name], change)
		}
	}
	text, err := json.Marshal(merged)
	if err != nil { // Check has accepted both
		return patch
	}
	return text
}

// members returns the members of an object, nil for another value.
func members(value json.RawMessage) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(value, &all) != nil {
		return nil
	}
	return all
}
