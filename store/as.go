package store

// As returns st as the capability C, one of the interfaces of this package or io.Closer, and
// whether it has it. Callers use it instead of a type assertion, because the capabilities of a store
// around another one depend on the other one: such a store has a method
//
//	As(target any) bool
//
// which stores its implementation of *C in target, a *C, and returns true; or leaves target alone
// and returns false.
func As[C any](st Store) (capability C, ok bool) {
	if capability, ok = st.(C); ok {
		return capability, true
	}
	if around, is := st.(interface{ As(target any) bool }); is {
		ok = around.As(&capability)
	}
	return capability, ok
}
