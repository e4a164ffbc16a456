package consentstore

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// TestCheck shows that every wrong part is found, told by its number and name, and never quoted.
func TestCheck(t *testing.T) {
	long := strings.Repeat("x", 257)
	ok := gives("p", "ads")
	with := func(change func(*Entry)) Batch { e := ok; change(&e); return say(ok, e) }
	profile := func(p Profile) Batch { return Batch{Profiles: []Profile{{Subject: "p", Minor: true}, p}} }
	kase := func(c Case) Batch { return Batch{Cases: []Case{{ID: "1", Kind: "ticket", Subject: "p"}, c}} }
	for name, b := range map[string]Batch{
		"event_state":           with(func(e *Entry) { e.Event = "SECRET" }),
		"pii_principal_id":      with(func(e *Entry) { e.Subject = "" }),
		"pii_principal_id long": with(func(e *Entry) { e.Subject = long }),
		"pii_principal_id NUL":  with(func(e *Entry) { e.Subject = "SECRET\x00" }),
		"pii_principal_id line": with(func(e *Entry) { e.Subject = "SECRET\n" }),
		"pii_principal_id C1":   with(func(e *Entry) { e.Subject = "SECRET\u0085" }),
		"pii_principal_id UTF8": with(func(e *Entry) { e.Subject = "SECRET\xff" }),
		"pii_principal_id cut":  with(func(e *Entry) { e.Subject = "SECRET张"[:8] }),
		"purpose":               with(func(e *Entry) { e.Purpose = "" }),
		"recipient_third_party": with(func(e *Entry) { e.Recipient = "SECRET\t" }),
		"entity_id":             with(func(e *Entry) { e.Entity = long }),
		"evidence":              with(func(e *Entry) { e.Evidence = strings.Repeat("SECRET", 200) }),
		"event_time":            with(func(e *Entry) { e.At = time.Now().Add(6 * time.Minute) }),
		"event_time year":       with(func(e *Entry) { e.At = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"event_type":            with(func(e *Entry) { e.Level = "SECRET" }),
		"event_type none":       with(func(e *Entry) { e.Level = "none" }),
		"pii_type":              with(func(e *Entry) { e.Categories = []rules.Category{""} }),
		"given_by":              with(func(e *Entry) { e.GivenBy = "SECRET" }),
		"policy_version":        with(func(e *Entry) { e.Policy = -1 }),
		"expires":               with(func(e *Entry) { e.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"expires now":           with(func(e *Entry) { e.Expires = time.Now() }),
		"expires as given":      with(func(e *Entry) { e.At = time.Now().AddDate(-2, 0, 0); e.Expires = e.At }),
		"pii_principal_id of p": profile(Profile{}),
		"birth_date":            profile(Profile{Subject: "p", Born: "SECRET"}),
		"guardians":             profile(Profile{Subject: "p", Guardians: slices.Repeat([]string{"g"}, 1001)}),
		"policy_version of p":   profile(Profile{Subject: "p", Policy: -1}),
		"case_id":               kase(Case{Kind: "ticket", Subject: "p"}),
		"kind":                  kase(Case{ID: "2", Subject: "p"}),
		"pii_principal_id of c": kase(Case{ID: "2", Kind: "ticket"}),
		"callers":               kase(Case{ID: "2", Kind: "ticket", Subject: "p", Callers: []string{""}}),
		"roles":                 kase(Case{ID: "2", Kind: "ticket", Subject: "p", Roles: []string{""}}),
	} {
		field, _, _ := strings.Cut(name, " ")
		var wrong *CheckError
		switch err := b.Check(); {
		case !errors.As(err, &wrong):
			t.Errorf("%s: got %v", name, err)
		case wrong.Index != 1 || !strings.HasPrefix(wrong.Why, field+" is not "):
			t.Errorf("%s: got %v", name, err)
		case strings.Contains(err.Error(), "SECRET"):
			t.Errorf("%s: the error quotes the value: %v", name, err)
		}
	}
	for name, b := range map[string]Batch{
		"a consent":          say(ok),
		"everywhere":         say(says("p", "", Restrict), says("p", "", Unrestrict)),
		"columns of others":  say(Entry{Subject: "p", Purpose: "ads", Event: Withdraw, Level: "?", GivenBy: "?", Policy: -1}),
		"Chinese":            say(gives("张伟", "营销")),
		"256 bytes":          say(gives(long[1:], "ads")),
		"a profile, cases":   {Profiles: []Profile{{Subject: "p", Born: "2012-02-29"}}, Cases: []Case{{ID: "1", Kind: "ticket", Subject: "p"}}},
		"nothing":            {},
		"clocks that differ": with(func(e *Entry) { e.At = time.Now().Add(4 * time.Minute) }),
		"long over":          with(func(e *Entry) { e.At = time.Now().AddDate(-2, 0, 0); e.Expires = e.At.AddDate(1, 0, 0) }),
		"no guardians":       profile(Profile{Subject: "p", Guardians: []string{}}),
	} {
		if err := b.Check(); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if b := profile(Profile{Subject: "p"}); b.Check() == nil {
		t.Error("a profile that says nothing replaces the one before")
	}
	if ValidID([]byte("\xff")) || !ValidID([]byte("p")) {
		t.Error("ids in bodies are judged otherwise")
	}
}
