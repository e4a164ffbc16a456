package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/rules"
)

// who is a disclosure as flags describe it.
type who struct {
	operation, id, organisation, country, to, from string
	purpose, subject, acts, time                   string
	roles, guardian, claims, consents, issues      []string
	us, gpc, download                              bool
}

func addWhoFlags(c *cobra.Command) *who {
	w := new(who)
	f := c.Flags()
	f.StringVar(&w.operation, "operation", "", "The request, such as 'GET /api/orders'; the first that the rules name")
	f.StringArrayVar(&w.roles, "role", nil, "A role of the caller; may be repeated. None is anonymous")
	f.StringVar(&w.purpose, "purpose", "", "Why")
	f.StringVar(&w.id, "id", "", "The caller's id, also as a data subject")
	f.StringVar(&w.organisation, "organisation", "", "The caller's organisation; one of the register is judged as that recipient")
	f.StringVar(&w.country, "country", "", "Where the caller is (ISO 3166-1)")
	f.StringArrayVar(&w.guardian, "guardian", nil, "A data subject whom the caller speaks for; may be repeated")
	f.StringArrayVar(&w.claims, "claim", nil, "A further claim of the caller, as NAME=VALUE; may be repeated")
	f.StringVar(&w.acts, "case", "", "An open case that the caller acts in, as KIND:DATA-SUBJECT")
	f.StringVar(&w.subject, "subject", "", "Whose data the message is, where no record says so")
	f.StringArrayVar(&w.consents, "consent", nil, "What a data subject agreed to, as ID:PURPOSE:LEVEL or ID:PURPOSE:LEVEL:RECIPIENT; may be repeated")
	f.StringVar(&w.to, "to", "", "The recipient of the register that a request goes to (egress)")
	f.BoolVar(&w.us, "us", false, "The document comes in: what may be collected")
	f.StringVar(&w.from, "from", "", "With --us, the recipient whose answer it is")
	f.StringVar(&w.time, "time", "", "A day such as 2026-11-22, or a time with a zone; now")
	f.BoolVar(&w.gpc, "gpc", false, "The request says Sec-GPC: 1")
	f.BoolVar(&w.download, "download", false, "The answer is a download")
	f.StringArrayVar(&w.issues, "issues", nil, "A category that the route hands out, such as auth.token; may be repeated")
	return w
}

// disclosure is what the engine takes.
func (w *who) disclosure(set *rules.Ruleset) (o rules.Operation, d *rules.Disclosure, err error) {
	d = &rules.Disclosure{
		Recipient: w.to,
		Caller: rules.Caller{
			ID: w.id, Roles: w.roles, Organisation: w.organisation, Country: w.country, Guardian: w.guardian, Claims: map[string]string{},
		},
		Purpose: w.purpose, Subject: w.subject, Download: w.download, Time: time.Now(),
	}
	if o, err = w.request(set); err != nil {
		return o, nil, err
	}
	switch {
	case w.to != "" && w.us, w.from != "" && !w.us:
		return o, nil, errors.New("reading the flags: --to is for what goes out, --us for what comes in, --from only with --us")
	case w.to != "":
		d.Position = rules.Egress
	case w.us:
		d.Position, d.Recipient = rules.Inbound, w.from
	}
	if w.time != "" {
		at, err := parseDay(w.time)
		if err != nil {
			return o, nil, fmt.Errorf("reading --time: %w", err)
		}
		d.Time = at.Time
	}
	for _, claim := range w.claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok {
			return o, nil, errors.New("reading --claim: it is NAME=VALUE")
		}
		d.Caller.Claims[name] = value
	}
	if w.acts != "" {
		kind, subject, ok := strings.Cut(w.acts, ":")
		if !ok {
			return o, nil, errors.New("reading --case: it is KIND:DATA-SUBJECT")
		}
		d.Caller.Case = &rules.Case{Kind: kind, Subject: subject}
	}
	if w.gpc {
		d.Objected = set.GPC()
	}
	for _, c := range w.issues {
		d.Issues = append(d.Issues, rules.Category(c))
	}
	d.People, err = w.people(set, d.Time)
	return o, d, err
}

// request is the operation, or else the first that the rules name.
func (w *who) request(set *rules.Ruleset) (rules.Operation, error) {
	if w.operation != "" {
		o, err := rules.ParseOperation(w.operation)
		if err != nil {
			err = fmt.Errorf("reading --operation: %w", err)
		}
		return o, err
	}
	if named := set.Operations(); len(named) > 0 {
		return named[0], nil
	}
	return rules.Operation{Method: "GET", Path: "/"}, nil
}

// people are the data subjects that agreed to something. Without one there is no store, as without `consent` in a Caddyfile.
func (w *who) people(set *rules.Ruleset, now time.Time) (rules.People, error) {
	if len(w.consents) == 0 {
		return nil, nil
	}
	f := fixture{People: map[string]fixturePerson{}, disclosure: rules.Disclosure{Time: now}}
	f.Caller.ID = w.id
	for _, text := range w.consents {
		id, c, ok := parseConsent(text)
		if !ok {
			return nil, errors.New("reading --consent: it is ID:PURPOSE:LEVEL or ID:PURPOSE:LEVEL:RECIPIENT, the level one of bundled, general, explicit, separate and written")
		}
		c.Policy, c.Given = set.Policy(), day{Time: now}
		p := f.People[id]
		p.Consents = append(p.Consents, c)
		f.People[id] = p
	}
	return peopleOf(&f)
}

// parseConsent reads a consent from its end, since an id may hold colons.
func parseConsent(text string) (id string, c fixtureConsent, ok bool) {
	parts := strings.Split(text, ":")
	for _, last := range []int{len(parts) - 1, len(parts) - 2} {
		if last < 2 {
			break
		}
		if _, ok := rules.ParseLevel(parts[last]); ok {
			c.Level, c.Purpose, c.Recipient = parts[last], parts[last-1], strings.Join(slices.Clone(parts[last+1:]), "")
			return strings.Join(parts[:last-1], ":"), c, true
		}
	}
	return "", c, false
}
