package bridge

import (
	"fmt"
	"strings"
)

// nameOf returns the name of a constant, or the type and the number of another value. names are
// those of the constants, in order; "-" is none.
func nameOf[T interface{ ~int | ~int8 | ~uint8 }](policy T, names string) string {
	if all := strings.Fields(names); policy >= 0 && int(policy) < len(all) && all[policy] != "-" {
		return all[policy]
	}
	return fmt.Sprintf("%T(%d)", policy, policy)
}

// String returns the name of the constant.
func (p SecureMode) String() string { return nameOf(p, "SecureAuto SecureAlways SecureNever") }

// String returns the name of the constant.
func (p CookieLife) String() string { return nameOf(p, "CookiePersistent CookieBrowserSession") }

// String returns the name of the constant.
func (p ProxyHeaderPolicy) String() string {
	return nameOf(p, "AnyProxyHeaders OnlyXForwarded OnlyForwarded")
}

// String returns the name of the constant.
func (p RecordPolicy) String() string { return nameOf(p, "RecordFull RecordOff RecordNetwork") }

// String returns the name of the constant.
func (p SessionEndPolicy) String() string { return nameOf(p, "CloseConns KeepConns") }

// String returns the name of the constant.
func (p RebindPolicy) String() string { return nameOf(p, "Reconnect Follow") }

// String returns the name of the constant.
func (p SessionLimitPolicy) String() string { return nameOf(p, "EvictOldest RefuseLogin") }

// String returns the name of the constant.
func (p ConnLimitPolicy) String() string { return nameOf(p, "RefuseConn EvictOldestConn") }

// String returns the name of the constant.
func (p TimeoutPreset) String() string {
	return nameOf(p, "TimeoutsDefault TimeoutsOWASPHighRisk TimeoutsOWASPLowRisk "+
		"TimeoutsNISTAAL1 TimeoutsNISTAAL2 TimeoutsNISTAAL3")
}

// String returns the name of the constant.
func (p MissingPolicy) String() string {
	return nameOf(p, "- AcceptMissing CloseMissing RefuseMissing")
}

// String returns the name of the constant.
func (p UnavailablePolicy) String() string { return nameOf(p, "RefuseUnavailable CloseUnavailable") }

// String returns the name of the constant.
func (p OverflowPolicy) String() string { return nameOf(p, "CloseSlow DropOldest DropNewest") }

// String returns the name of the constant.
func (p NamePolicy) String() string { return nameOf(p, "ShareName RefuseName ReplaceName") }
