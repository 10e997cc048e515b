package eventjson

import (
	"encoding/json"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// The types of events.
const (
	SessionSet         = "session.set"
	SessionDestroy     = "session.destroy"
	Cleanup            = "cleanup"
	ConnOpen           = "conn.open"
	ConnClose          = "conn.close"
	Failure            = "failure"
	CredentialRejected = "credential.rejected"
	Missed             = "missed"
)

// Types returns all types of events.
func Types() []string {
	return []string{
		SessionSet, SessionDestroy, Cleanup, ConnOpen, ConnClose, Failure, CredentialRejected, Missed,
	}
}

// envelope is an event with its type and time, as it is sent.
type envelope struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// Marshal returns the type and the JSON of an event that happened at the time.
func Marshal(at time.Time, ev bridge.Event) (name string, text []byte) {
	e := envelope{Timestamp: at.UTC()}
	e.Type, e.Data = form(ev)
	text, err := json.Marshal(e)
	if err != nil { // no event has a value that JSON can't express
		panic(err)
	}
	return e.Type, text
}

// Type returns the type of an event.
func Type(ev bridge.Event) string {
	name, _ := form(ev)
	return name
}

type sessionSet struct {
	SessionID      string   `json:"session"`
	ClientID       string   `json:"client"`
	UserID         string   `json:"user,omitempty"`
	PreviousUserID string   `json:"previousUser,omitempty"`
	New            bool     `json:"new,omitempty"`
	Init           bool     `json:"init,omitempty"`
	Login          bool     `json:"login,omitempty"`
	Rotated        bool     `json:"rotated,omitempty"`
	Keys           []string `json:"keys,omitempty"`
	Via            string   `json:"via"`
}

type sessionDestroy struct {
	SessionID string `json:"session"`
	ClientID  string `json:"client,omitempty"`
	UserID    string `json:"user,omitempty"`
	Reason    string `json:"reason"`
	Via       string `json:"via"`
}

type cleanup struct {
	Cleared int     `json:"cleared"`
	Seconds float64 `json:"seconds"`
}

type connOpen struct {
	ConnectionID string `json:"conn"`
	ClientID     string `json:"client"`
	SessionID    string `json:"session,omitempty"`
	UserID       string `json:"user,omitempty"`
	Addr         string `json:"addr,omitempty"`
	UserAgent    string `json:"userAgent,omitempty"`
}

type connClose struct {
	ConnectionID string  `json:"conn"`
	ClientID     string  `json:"client"`
	SessionID    string  `json:"session,omitempty"`
	UserID       string  `json:"user,omitempty"`
	Code         int     `json:"code"`
	Reason       string  `json:"reason,omitempty"`
	Seconds      float64 `json:"seconds"`
	Received     traffic `json:"received"`
	Sent         traffic `json:"sent"`
}

type traffic struct {
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

type failure struct {
	Doing     string `json:"doing"`
	SessionID string `json:"session,omitempty"`
	Error     string `json:"error"`
}

type credentialRejected struct {
	Credential string `json:"credential"`
	Reason     string `json:"reason"`
	ClientID   string `json:"client,omitempty"`
	SessionID  string `json:"session,omitempty"`
	UserID     string `json:"user,omitempty"`
	Addr       string `json:"addr,omitempty"`
	UserAgent  string `json:"userAgent,omitempty"`
	Via        string `json:"via"`
}

type missed struct {
	Events int `json:"events"`
}

func form(ev bridge.Event) (name string, data any) {
	switch ev := ev.(type) {
	case bridge.SessionSet:
		return SessionSet, sessionSet{
			SessionID: ev.SessionID, ClientID: ev.ClientID, UserID: ev.UserID, PreviousUserID: ev.PrevUserID,
			New: ev.IsNew, Init: ev.IsInit, Login: ev.Login, Rotated: ev.Rotated, Keys: ev.Keys, Via: string(ev.Via),
		}
	case bridge.SessionDestroy:
		return SessionDestroy, sessionDestroy{
			SessionID: ev.SessionID, ClientID: ev.ClientID, UserID: ev.UserID,
			Reason: string(ev.Reason), Via: string(ev.Via),
		}
	case bridge.Cleanup:
		return Cleanup, cleanup{ev.Cleared, ev.Took.Seconds()}
	case bridge.ConnOpen:
		return ConnOpen, connOpen{
			ConnectionID: ev.ConnID, ClientID: ev.ClientID, SessionID: ev.SessionID, UserID: ev.UserID,
			Addr: ev.Addr, UserAgent: ev.UserAgent,
		}
	case bridge.ConnClose:
		return ConnClose, connClose{
			ConnectionID: ev.ConnID, ClientID: ev.ClientID, SessionID: ev.SessionID, UserID: ev.UserID,
			Code: ev.Code, Reason: ev.Reason, Seconds: ev.Open.Seconds(),
			Received: traffic(ev.Received), Sent: traffic(ev.Sent),
		}
	case bridge.Failure:
		return Failure, failure{ev.Doing, ev.SessionID, ev.Err.Error()}
	case bridge.CredentialRejected:
		return CredentialRejected, credentialRejected{
			Credential: string(ev.Credential), Reason: string(ev.Reason), ClientID: ev.ClientID,
			SessionID: ev.SessionID, UserID: ev.UserID, Addr: ev.Addr, UserAgent: ev.UserAgent, Via: string(ev.Via),
		}
	case bridge.Missed:
		return Missed, missed{ev.Events}
	}
	panic("eventjson: an event without a form")
}
