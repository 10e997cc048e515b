package sealed

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

type keeper struct {
	*Store
	of store.Keeper
}

// Keep implements store.Keeper. The message is sealed, and bound to the application and to the session
// or user. While there are several keys, a message for a user is kept under the user's name of each:
// a process with another first key reads it there.
func (s keeper) Keep(ctx context.Context, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits) error {
	data, err := s.sealData(keptMagic, m.Data, keptBound(s.app, to))
	if err != nil {
		return err
	}
	m.Data = data
	for _, name := range s.keptNames(to) {
		if err := s.of.Keep(ctx, name, m, limits); err != nil {
			return err
		}
	}
	return nil
}

// Kept implements store.Keeper. A message that can't be opened is left out: its number is missing.
func (s keeper) Kept(ctx context.Context, to store.KeptFor, after uint64) (store.Kept, error) {
	kept, err := s.of.Kept(ctx, s.keptNames(to)[0], after)
	if err != nil {
		return kept, err
	}
	opened := kept.Messages[:0]
	for _, m := range kept.Messages {
		if m.Data, err = s.openData(keptMagic, m.Data, keptBound(s.app, to)); err != nil {
			s.reports.message(s.app, err)
			continue
		}
		opened = append(opened, m)
	}
	kept.Messages = opened
	return kept, nil
}

// keptNames returns for whom the inner store keeps messages, the one that is read first. The ID of a
// session isn't sealed.
func (s *Store) keptNames(to store.KeptFor) []store.KeptFor {
	if to.SessionID != "" {
		return []store.KeptFor{to}
	}
	names := make([]store.KeptFor, len(s.keys))
	for i, k := range s.keys {
		names[i].UserID = k.users.of(s.app, to.UserID)
	}
	return names
}

// topics returns the topics of keptNames.
func (s *Store) topics(to store.KeptFor) []string {
	names := s.keptNames(to)
	topics := make([]string, len(names))
	for i, name := range names {
		topics[i] = name.Topic()
	}
	return topics
}

// keptBound returns what is bound to a message that is kept.
func keptBound(app string, to store.KeptFor) []byte {
	return appendText(appendText([]byte(keptMagic), app), to.Topic())
}
