package oidc

import (
	"crypto/rand"
	"crypto/subtle"
	"time"

	"golang.org/x/oauth2"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const maxFlows = 8 // of one visitor; the oldest gives way to another

// flow is a login that the visitor has begun. It is kept in the visitor's session until the
// provider has answered it.
type flow struct {
	Provider string `json:"provider"` // issuer and client: an answer of another provider isn't for it
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // PKCE (RFC 7636)
	Return   string `json:"return"`
	Began    int64  `json:"began"` // Unix seconds
	session  string // its ID, when the flow has been taken
}

var flowsKey = bridge.NewKey[[]flow]("sessionbridge.oidc.flows")

func (p *Provider) newFlow(returnPath string) flow {
	return flow{
		Provider: p.name(), State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Return: returnPath, Began: time.Now().Unix(),
	}
}

// name distinguishes this provider, and this client of it, from others.
func (p *Provider) name() string { return digest("provider", p.opts.Issuer, p.opts.ClientID) }

// within reports whether the flow still may be completed.
func (p *Provider) within(f *flow) bool {
	age := time.Since(time.Unix(f.Began, 0))
	return age <= p.opts.LoginWithin && age >= -p.opts.Leeway
}

// remember adds f to the flows of s.
func (p *Provider) remember(s *bridge.Session, f flow) {
	flows := p.pending(s)
	if n := len(flows); n >= maxFlows {
		flows = flows[n-maxFlows+1:]
	}
	flowsKey.Set(s, append(flows, f))
}

// take removes the flow with the state from s and returns it; nil: there is none.
func (p *Provider) take(s *bridge.Session, state string) *flow {
	flows := p.pending(s)
	for i := range flows {
		f := flows[i]
		if f.Provider != p.name() || subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1 {
			continue
		}
		if flows = append(flows[:i:i], flows[i+1:]...); len(flows) == 0 {
			flowsKey.Delete(s)
		} else {
			flowsKey.Set(s, flows)
		}
		return &f
	}
	return nil
}

// pending returns the flows of s that may still be completed, the oldest first.
func (p *Provider) pending(s *bridge.Session) []flow {
	flows, _ := flowsKey.Get(s)
	var some []flow
	for _, f := range flows {
		if p.within(&f) {
			some = append(some, f)
		}
	}
	return some
}
