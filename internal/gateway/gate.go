package gateway

// Gate is asked about changes that create a session or log a user in, so that ending all
// sessions of a user can account for those that are under way.
type Gate interface {
	// Enter is called under the session's commit lock, before the change is stored. If it returns a
	// tag, the session is destroyed instead, and its end has that tag. It must not block.
	Enter(e Entrance) (pass Pass, tag any)
}

// Pass is what Gate.Enter has let through.
type Pass interface {
	// Leave is called once, when the store has answered; done is true if the change was stored.
	Leave(done bool)
}

// Entrance is a change that wants to pass a Gate.
type Entrance struct {
	ID    string
	IsNew bool   // it creates the session
	Was   string // the session's user before
	User  string // who logs in; "" for a session that is created without a user
}
