package minimize

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// The events that are no consentstore.Event.
const (
	eventRead      = "read"     // by a role that manages consents
	eventSearched  = "searched" // for, in the audit log, by a role that may
	eventProfile   = "profile_changed"
	eventEnded     = "ended"
	eventCase      = "case_changed"
	eventClosed    = "case_closed"
	eventNotStored = "not_stored" // what was told of under the same decision: it was there already, or the store is away
)

// read returns all that is known of a data subject.
func (c *call) read() (any, error) {
	subject, as, err := c.approach()
	if err != nil {
		return nil, err
	}
	stored, err := c.stored(subject)
	if err != nil {
		return nil, err
	}
	stored.Subject = subject
	stored.Records, stored.Cases = orEmpty(stored.Records), orEmpty(stored.Cases)
	if as == asManager {
		return stored, c.looked(subject)
	}
	for i := range stored.Records {
		c.hideEntity(&stored.Records[i].Entry)
	}
	for i := range stored.Cases {
		stored.Cases[i].Callers = nil
	}
	return stored, nil
}

// hideEntity keeps the ids of our own people from data subjects: that somebody acted for us is what concerns them.
func (c *call) hideEntity(e *consentstore.Entry) {
	if e.Entity != c.caller.ID {
		e.Entity = ""
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (c *call) history() (any, error) {
	subject, as, err := c.approach()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithDeadline(c.r.Context(), c.deadline)
	defer cancel()
	entries, err := c.h.app.consents.Store().History(ctx, subject)
	if err != nil {
		return nil, err
	}
	if as == asManager {
		err = c.looked(subject)
	} else {
		for i := range entries {
			c.hideEntity(&entries[i])
		}
	}
	return map[string]any{"history": orEmpty(entries)}, err
}

// profile replaces what is kept of a data subject beside the consents. Who is deleted stays so.
func (c *call) profile() (any, error) {
	if err := c.manager(); err != nil {
		return nil, err
	}
	subject, _, err := c.approach()
	if err != nil {
		return nil, err
	}
	var said struct {
		Born      *string   `json:"birth_date"`
		Minor     *bool     `json:"minor"`
		Guardians *[]string `json:"guardians"`
		Policy    *int      `json:"policy_version"`
	}
	if err := c.body(&said, true); err != nil {
		return nil, err
	}
	if said.Born == nil && said.Minor == nil && said.Guardians == nil && said.Policy == nil {
		return nil, errNothing
	}
	if err := c.living(subject); err != nil {
		return nil, err
	}
	p := consentstore.Profile{
		Subject: subject, Born: orZero(said.Born), Minor: orZero(said.Minor), Guardians: orEmpty(orZero(said.Guardians)), Policy: orZero(said.Policy),
	}
	return nil, c.apply(consentstore.Batch{Profiles: []consentstore.Profile{p}}, &consentLine{event: eventProfile, subject: subject})
}

func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// end marks a data subject as deleted. The consents stay: they prove what was done until now.
func (c *call) end() (any, error) {
	subject, _, err := c.approach()
	if err != nil {
		return nil, err
	}
	if err := c.body(&struct{}{}, false); err != nil {
		return nil, err
	}
	return nil, c.apply(consentstore.Batch{Ended: []string{subject}}, &consentLine{event: eventEnded, subject: subject})
}

// storedCase returns the case of the path, nil where there is none.
func (c *call) storedCase() (*consentstore.Case, error) {
	stored, err := c.stored(consentstore.CaseKey(c.stars[0]))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(stored.Cases, func(k consentstore.Case) bool { return k.ID == c.stars[0] })
	if i < 0 {
		return nil, nil
	}
	return &stored.Cases[i], nil
}

// knownCase is the case that is spoken of, which has to be there.
func (c *call) knownCase() (*consentstore.Case, error) {
	stored, err := c.storedCase()
	if err == nil && stored == nil {
		return nil, errNoCase
	}
	return stored, err
}

func (c *call) readCase() (any, error) {
	if err := c.manager(); err != nil {
		return nil, err
	}
	stored, err := c.knownCase()
	if err != nil {
		return nil, err
	}
	return stored, c.looked(stored.Subject)
}

// openCase replaces a case. Its data subject never changes: whoever acts on one person's case does not get into another's.
func (c *call) openCase() (any, error) {
	if err := c.manager(); err != nil {
		return nil, err
	}
	var said struct {
		Kind    string    `json:"kind"`
		Subject string    `json:"pii_principal_id"`
		Callers []string  `json:"callers"`
		Roles   []string  `json:"roles"`
		Ends    time.Time `json:"ends"`
	}
	if err := c.body(&said, true); err != nil {
		return nil, err
	}
	set := c.rules.enforced
	switch {
	case said.Kind != "" && !set.KnowsCase(said.Kind):
		return nil, errKind
	case slices.ContainsFunc(said.Roles, func(role string) bool { return !set.KnowsRole(role) }):
		return nil, errRole
	}
	k := consentstore.Case{ID: c.stars[0], Kind: said.Kind, Subject: said.Subject, Callers: said.Callers, Roles: said.Roles, Ends: said.Ends}
	return nil, c.apply(consentstore.Batch{Cases: []consentstore.Case{k}}, &consentLine{event: eventCase, subject: k.Subject})
}

// closeCase ends a case now.
func (c *call) closeCase() (any, error) {
	if err := c.manager(); err != nil {
		return nil, err
	}
	if err := c.body(&struct{}{}, false); err != nil {
		return nil, err
	}
	stored, err := c.knownCase()
	if err != nil {
		return nil, err
	}
	return nil, c.apply(consentstore.Batch{Closed: []consentstore.Case{*stored}}, &consentLine{event: eventClosed, subject: stored.Subject})
}
