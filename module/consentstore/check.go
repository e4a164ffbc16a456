package consentstore

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/rules"
)

// Bounds of what is stored. They keep a single row, and what a gateway keeps in memory of one data subject, small.
const (
	maxID       = 256
	maxEvidence = 1024
	maxNames    = 1000 // guardians, callers, roles or categories
)

// maxAhead is how far clocks of machines may differ. What happens later than that is a mistake in a file.
const maxAhead = 5 * time.Minute

// CheckError says which part of a Batch cannot be stored, and why: never with a value.
type CheckError struct {
	Part  string // entry, profile, deletion or case
	Index int    // among them, from 0
	Why   string
}

func (e *CheckError) Error() string {
	return fmt.Sprintf("checking %s %d: %s", e.Part, e.Index, e.Why)
}

// Check returns the first error in a batch, a *CheckError. Fields that an event does not have are ignored, because tables
// have a column for each.
func (b *Batch) Check() error {
	for i := range b.Entries {
		if why := b.Entries[i].check(time.Now()); why != "" {
			return &CheckError{"entry", i, why}
		}
	}
	for i := range b.Profiles {
		if why := b.Profiles[i].check(); why != "" {
			return &CheckError{"profile", i, why}
		}
	}
	for i, subject := range b.Ended {
		if !ValidID(subject) {
			return &CheckError{"deletion", i, "pii_principal_id is not " + aName}
		}
	}
	for i := range b.Cases {
		if why := b.Cases[i].check(); why != "" {
			return &CheckError{"case", i, why}
		}
	}
	return nil
}

// checked is a field with what it has to be.
type checked struct {
	name string
	ok   bool
	want string
}

func firstWrong(fields ...checked) string {
	for _, f := range fields {
		if !f.ok {
			return f.name + " is not " + f.want
		}
	}
	return ""
}

const (
	aName      = "a name of 1 to 256 bytes of UTF-8 without control characters"
	noName     = "empty or " + aName
	theseNames = "a list of at most 1000 names, each " + aName
)

func (e *Entry) check(now time.Time) string {
	_, level := rules.ParseLevel(e.Level)
	all := e.Event == Restrict || e.Event == Unrestrict
	give := e.Event == Give
	from := e.At
	if from.IsZero() {
		from = now
	}
	return firstWrong(
		checked{"event_state", known(e.Event), "given, withdrawn, objected, objection_lifted, restricted or restriction_lifted"},
		checked{"pii_principal_id", ValidID(e.Subject), aName},
		checked{"purpose", ValidID(e.Purpose) || e.Purpose == "" && all, aName},
		checked{"recipient_third_party", optionalID(e.Recipient), noName},
		checked{"entity_id", optionalID(e.Entity), noName},
		checked{"evidence", printable(e.Evidence, maxEvidence), "a reference of at most 1024 bytes of UTF-8 without control characters"},
		checked{"event_time", sane(e.At) && !e.At.After(now.Add(maxAhead)), "a time up to now, or 5 minutes later where clocks differ"},
		checked{"event_type", level || !give, "bundled, general, explicit, separate or written"},
		checked{"pii_type", validIDs(e.Categories) || !give, theseNames},
		checked{"given_by", e.GivenBy == "" || e.GivenBy == givenBySelf || e.GivenBy == givenByGuardian || !give, "self or guardian"},
		checked{"policy_version", e.Policy >= 0 || !give, "0 or more"},
		checked{"expires", sane(e.Expires) || !give, "a time between the years 1 and 9999"},
		checked{"expires", e.Expires.IsZero() || e.Expires.After(from) || !give, "later than the consent, given at its event_time or now"},
	)
}

func (p *Profile) check() string {
	_, err := time.Parse(time.DateOnly, p.Born)
	if why := firstWrong(
		checked{"pii_principal_id", ValidID(p.Subject), aName},
		checked{"birth_date", p.Born == "" || err == nil, "a date such as 2006-01-02"},
		checked{"ended", sane(p.Ended), "a time between the years 1 and 9999"},
		checked{"guardians", validIDs(p.Guardians), theseNames},
		checked{"policy_version", p.Policy >= 0, "0 or more"},
	); why != "" {
		return why
	}
	// It would silently take away what is stored. An empty list of guardians says that there are none.
	if p.Born == "" && !p.Minor && p.Ended.IsZero() && p.Guardians == nil && p.Policy == 0 {
		return "it says nothing of the data subject"
	}
	return ""
}

func (c *Case) check() string {
	return firstWrong(
		checked{"case_id", ValidID(c.ID), aName},
		checked{"kind", ValidID(c.Kind), aName},
		checked{"pii_principal_id", ValidID(c.Subject), aName},
		checked{"callers", validIDs(c.Callers), theseNames},
		checked{"roles", validIDs(c.Roles), theseNames},
		checked{"ends", sane(c.Ends), "a time between the years 1 and 9999"},
	)
}

const (
	givenBySelf     = "self"
	givenByGuardian = "guardian"
)

func known(e Event) bool {
	switch e {
	case Give, Withdraw, Object, Unobject, Restrict, Unrestrict:
		return true
	}
	return false
}

// ValidID reports whether something can be stored under this id. Nobody is known by another one.
func ValidID[T ~string | ~[]byte](id T) bool { return len(id) > 0 && printable(id, maxID) }

func optionalID(id string) bool { return id == "" || ValidID(id) }

func validIDs[T ~string](ids []T) bool {
	for _, id := range ids {
		if !ValidID(id) {
			return false
		}
	}
	return len(ids) <= maxNames
}

// printable reports whether every database stores the text as it is: PostgreSQL takes no NUL and nothing but UTF-8. The
// other control characters only serve to forge lines in logs and tables.
func printable[T ~string | ~[]byte](text T, most int) bool {
	if len(text) > most {
		return false
	}
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
			return false
		}
		i += size
	}
	return true
}

// FirstMoment returns the member of a JSON object whose time is the first moment of the year 1, if there is one. Where it is
// read it stands for none, so that what had ended would never end.
func FirstMoment(doc []byte) (name string) {
	for _, name := range []string{"event_time", "expires", "ended", "ends"} {
		t, err := time.Parse(time.RFC3339, gjson.GetBytes(doc, name).String())
		if err == nil && t.IsZero() {
			return name
		}
	}
	return ""
}

// sane leaves out the years that JSON cannot write (RFC 3339). The zero time is one: not said.
func sane(t time.Time) bool {
	return t.IsZero() || t.Year() >= 1 && t.UTC().Year() <= 9999 && t.UTC().Year() >= 1
}
