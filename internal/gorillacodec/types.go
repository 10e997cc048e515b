package gorillacodec

// newOf returns a pointer to a new value of a type whose values JSON keeps, but not the type
// itself; nil for any other type.
func newOf(typ string) any {
	switch typ {
	case "int8":
		return new(int8)
	case "int16":
		return new(int16)
	case "int32":
		return new(int32)
	case "int64":
		return new(int64)
	case "uint":
		return new(uint)
	case "uint8":
		return new(uint8)
	case "uint16":
		return new(uint16)
	case "uint32":
		return new(uint32)
	case "uint64":
		return new(uint64)
	case "float32":
		return new(float32)
	case "float64":
		return new(float64)
	}
	return newOfMany(typ)
}

// newOfMany is newOf for slices and maps.
func newOfMany(typ string) any {
	switch typ {
	case "[]uint8": // base64
		return new([]byte)
	case "[]string":
		return new([]string)
	case "[]bool":
		return new([]bool)
	case "[]int":
		return new([]int)
	case "[]int64":
		return new([]int64)
	case "[]float64":
		return new([]float64)
	case "[]interface {}":
		return new([]any)
	case "map[string]string":
		return new(map[string]string)
	case "map[string]bool":
		return new(map[string]bool)
	case "map[string]int":
		return new(map[string]int)
	case "map[string]int64":
		return new(map[string]int64)
	case "map[string]float64":
		return new(map[string]float64)
	case "map[string]interface {}":
		return new(map[string]any)
	}
	return nil
}
