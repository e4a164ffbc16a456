package consentstore

import (
	"errors"
	"sync/atomic"
)

// ErrOther is for a store that is not the one that was there before: that one was lost, or another one was put in its place.
// What people objected to and withdrew would be forgotten.
var ErrOther = errors.New("it is not the store that was here before, so that objections and withdrawals would be forgotten")

// identity is which store it is: a random id that was stored with the tables, so that a backup or a replica has the same.
type identity struct{ id atomic.Pointer[string] }

// Expect says which store it has to be.
func (i *identity) Expect(id string) { i.id.Store(&id) }

// ID is which store it is, once Migrate found out.
func (i *identity) ID() string {
	if id := i.id.Load(); id != nil {
		return *id
	}
	return ""
}

// check compares it with the id that was found.
func (i *identity) check(found string) error {
	if id := i.ID(); id != "" && id != found {
		return ErrOther
	}
	return nil
}
