package registry

// MaxCutAllowances is for tests.
const MaxCutAllowances = maxCutAllowances

// Allowances returns of how many clients the registry remembers what is left, for tests.
func (r *Registry[L]) Allowances() int { return len(r.cuts) }
