package gateway

// Gate is asked about changes that create a session or log a user in, so that ending all
// sessions of a user can account for those that are under way.
type Gate interface {
	// Enter is asked under the session's commit lock, right before the change is stored. With a tag the session ends instead, for whoever
	// the tag names. It must be quick.
	Enter(e Entrance) (pass Pass, tag any)
}

// Pass is what Gate.Enter has let through.
type Pass interface {
	// Leave is called once, when the store has answered; done says that it has done what it was asked for.
	Leave(done bool)
}

// Entrance is a change that wants to pass a Gate.
type Entrance struct {
	ID    string
	IsNew bool   // it creates the session
	Was   string // the session's user before
	User  string // who logs in; "" for a session that is created without a user
}
