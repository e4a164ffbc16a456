package minimize

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
)

// storePatience is how long a request to the API waits for the store in all.
const storePatience = 5 * time.Second

// standing is what a caller is to a data subject.
type standing uint8

const (
	asNobody standing = iota
	asSelf
	asGuardian
	asManager
)

// authenticate wants a caller with an id.
func (c *call) authenticate() error {
	switch {
	case c.denied == errKeysUnavailable:
		return &apiError{http.StatusServiceUnavailable, c.denied.Error()}
	case c.denied != nil:
		return &apiError{http.StatusUnauthorized, c.denied.Error()}
	case c.caller.ID == "":
		return errAnonymous
	}
	return nil
}

func (c *call) manages() bool {
	return slices.ContainsFunc(c.caller.Roles, func(role string) bool { return slices.Contains(c.h.Manage, role) })
}

// manager wants a role that manages consents.
func (c *call) manager() error {
	if err := c.authenticate(); err != nil {
		return err
	}
	if !c.manages() {
		return errManage
	}
	return nil
}

// approach says who is asked about, and what the caller is to them. Whether the store knows anybody of this name shows
// in no refusal.
func (c *call) approach() (subject string, as standing, err error) {
	if err := c.authenticate(); err != nil {
		return "", asNobody, err
	}
	if subject = c.stars[0]; subject == "me" {
		subject = c.caller.ID
	}
	switch {
	case !consentstore.ValidID(subject):
		return "", asNobody, errNoResource
	case subject == c.caller.ID:
		return subject, asSelf, nil
	case slices.Contains(c.caller.Guardian, subject):
		return subject, asGuardian, nil
	case c.manages():
		return subject, asManager, nil
	}
	stored, err := c.stored(subject)
	switch {
	case err != nil:
		return "", asNobody, err
	case slices.Contains(stored.Guardians, c.caller.ID):
		return subject, asGuardian, nil
	}
	return "", asNobody, errForbidden
}

// stored reads the store itself, not what is cached of it.
func (c *call) stored(key string) (*consentstore.Subject, error) {
	ctx, cancel := context.WithDeadline(c.r.Context(), c.deadline)
	defer cancel()
	found, err := c.h.app.consents.Store().Find(ctx, []string{key})
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// apply stores a change. It is acknowledged when no gateway's answer that is still to leave this node can show what was
// taken back. A client that goes away meanwhile stops nothing: half of a change would be known to nobody.
func (c *call) apply(b consentstore.Batch, line *consentLine) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(c.r.Context()), c.deadline)
	defer cancel()
	_, err := c.h.app.change(ctx, b, c.signed(line))
	return err
}

// signed is a line with who did it.
func (c *call) signed(line *consentLine) *consentLine {
	line.decision, line.caller, line.role, line.rules = c.decision, c.caller.ID, c.rules.role(&c.caller), c.rules
	return line
}

// looked tells that somebody else looked at what is stored of a data subject. Its error is why that is not shown.
func (c *call) looked(subject string) error {
	if c.h.app.audit.writeConsent(c.signed(&consentLine{event: eventRead, subject: subject})) != nil {
		return errNotAudited
	}
	return nil
}

// change stores what lines tell of, and tells of it. Where nothing may happen that the audit log cannot tell of, it is told
// first, and what then was not stored is told of as such.
func (a *App) change(ctx context.Context, b consentstore.Batch, lines ...*consentLine) (changed bool, err error) {
	if a.audit.required {
		for _, line := range lines {
			if a.audit.writeConsent(line) != nil {
				return false, errNotAudited
			}
		}
	}
	changed, err = a.consents.Apply(ctx, b)
	for _, line := range lines {
		stored := changed && err == nil
		if stored {
			a.metrics.consentChanges.WithLabelValues(line.event).Inc()
		} else {
			line.event = eventNotStored
		}
		if stored != a.audit.required {
			a.audit.writeConsent(line)
		}
	}
	return changed, err
}

// record stores one entry about the data subject and purpose of the path, and the recipient of the query.
func (c *call) record(event consentstore.Event, fill func(*consentstore.Entry, standing) error) (any, error) {
	subject, as, err := c.approach()
	if err != nil {
		return nil, err
	}
	e := consentstore.Entry{Subject: subject, Event: event, Entity: c.caller.ID}
	if len(c.stars) > 1 {
		e.Purpose = c.stars[1]
	}
	if e.Recipient, err = c.recipient(); err != nil {
		return nil, err
	}
	if err := fill(&e, as); err != nil {
		return nil, err
	}
	return nil, c.apply(consentstore.Batch{Entries: []consentstore.Entry{e}}, &consentLine{
		event: string(event), purpose: e.Purpose, recipient: e.Recipient, level: e.Level, givenBy: e.GivenBy, subject: subject,
	})
}

// giving is what a consent says beside its path.
type giving struct {
	Level      string            `json:"event_type"`
	Categories *[]rules.Category `json:"pii_type"`
	GivenBy    string            `json:"given_by"`
	Policy     *int              `json:"policy_version"`
	Expires    time.Time         `json:"expires"`
	Evidence   string            `json:"evidence"`
}

func (c *call) give() (any, error) {
	return c.record(consentstore.Give, func(e *consentstore.Entry, as standing) error {
		var g giving
		if err := c.body(&g, true); err != nil {
			return err
		}
		e.Level, e.Expires, e.Evidence = g.Level, g.Expires, g.Evidence
		e.Policy = c.rules.enforced.Policy()
		if g.Policy != nil {
			e.Policy = *g.Policy
		}
		if g.Categories != nil {
			e.Categories = *g.Categories
		}
		var err error
		if e.GivenBy, err = giver(g.GivenBy, as); err != nil {
			return err
		}
		if err := c.agreeable(e, &g); err != nil {
			return err
		}
		return c.living(e.Subject)
	})
}

// living refuses what would be new of a data subject who is deleted: it would never count, and nobody would notice.
func (c *call) living(subject string) error {
	stored, err := c.stored(subject)
	if err == nil && !stored.Ended.IsZero() {
		err = errDeleted
	}
	return err
}

// giver follows from the caller, so that nobody gives for another what only that one can give.
func giver(stated string, as standing) (string, error) {
	by := map[standing]string{asSelf: "self", asGuardian: "guardian", asManager: stated}[as]
	if by != "self" && by != "guardian" || stated != "" && stated != by {
		return "", errGivenBy
	}
	return by, nil
}

// agreeable wants words that the rules know: a consent to anything else would never count, and nobody would notice.
func (c *call) agreeable(e *consentstore.Entry, g *giving) error {
	set := c.rules.enforced
	unknown := func(name rules.Category) bool { return set.ID(name) == 0 }
	_, level := rules.ParseLevel(g.Level)
	switch {
	case !level:
		return errLevel
	case !set.KnowsPurpose(e.Purpose):
		return errPurpose
	case e.Recipient != "" && !set.KnowsRecipient(e.Recipient):
		return errRecipient
	case g.Categories != nil && (len(e.Categories) == 0 || slices.ContainsFunc(e.Categories, unknown)):
		return errCategory
	case e.Policy < 0 || g.Policy != nil && e.Policy > set.Policy():
		return errPolicy
	}
	return nil
}

// plain is a change that may name its evidence and says nothing else. It takes every name: whoever consented under older
// rules must be able to take it back.
func (c *call) plain(event consentstore.Event) (any, error) {
	return c.record(event, func(e *consentstore.Entry, _ standing) error {
		var said struct {
			Evidence string `json:"evidence"`
		}
		err := c.body(&said, false)
		e.Evidence = said.Evidence
		return err
	})
}

func (c *call) withdraw() (any, error)   { return c.plain(consentstore.Withdraw) }
func (c *call) object() (any, error)     { return c.plain(consentstore.Object) }
func (c *call) unobject() (any, error)   { return c.plain(consentstore.Unobject) }
func (c *call) restrict() (any, error)   { return c.plain(consentstore.Restrict) }
func (c *call) unrestrict() (any, error) { return c.plain(consentstore.Unrestrict) }
