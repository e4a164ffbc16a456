package consentstore

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestEverybody shows that what is said without a recipient holds towards each of them, whatever is said afterwards without
// one. The records are the one without a recipient, ads, and one of another purpose.
func TestEverybody(t *testing.T) {
	to := func(recipient string, event Event) Entry {
		e := says("p", "news", event)
		if event == Give {
			e = gives("p", "news")
		}
		e.Recipient = recipient
		return e
	}
	gpc := to("", Object)
	gpc.GPC = true
	other := gives("p", "other")
	other.Recipient = "ads"
	tests := map[string]struct {
		entries []Entry
		all     string
		ads     string
		history int
	}{
		"withdrawn":                       {[]Entry{to("ads", Give), to("", Withdraw)}, "w", "gw", 3},
		"withdrawn from both":             {[]Entry{to("ads", Give), to("", Give), to("", Withdraw)}, "gw", "gw", 4},
		"withdrawn, and given again":      {[]Entry{to("ads", Give), to("", Withdraw), to("", Give)}, "g", "gw", 4},
		"withdrawn, and given to ads":     {[]Entry{to("ads", Give), to("", Withdraw), to("ads", Give)}, "w", "g", 4},
		"withdrawn once more":             {[]Entry{to("", Give), to("", Withdraw), to("ads", Give), to("", Withdraw)}, "gw", "gw", 4},
		"withdrawn twice":                 {[]Entry{to("ads", Give), to("", Withdraw), to("", Withdraw)}, "w", "gw", 3},
		"withdrawn from ads only":         {[]Entry{to("ads", Give), to("", Give), to("ads", Withdraw)}, "g", "gw", 3},
		"objected":                        {[]Entry{to("ads", Give), to("", Object)}, "o", "go", 3},
		"objected, and given":             {[]Entry{to("ads", Give), to("", Object), to("", Give)}, "g", "go", 4},
		"objected, and given to ads":      {[]Entry{to("ads", Give), to("", Object), to("ads", Give)}, "o", "g", 4},
		"objected, and lifted":            {[]Entry{to("ads", Give), to("", Object), to("", Unobject)}, "", "g", 5},
		"objected to ads, and lifted":     {[]Entry{to("ads", Give), to("ads", Object), to("", Object), to("", Unobject)}, "", "go", 4},
		"GPC":                             {[]Entry{to("ads", Give), gpc, to("", Give), gpc}, "gG", "goG", 4},
		"GPC, and given to ads":           {[]Entry{gpc, to("ads", Give), gpc}, "oG", "g", 2},
		"restricted, which nothing lifts": {[]Entry{to("ads", Give), to("", Restrict), to("", Give)}, "gr", "g", 3},
	}
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		for name, tt := range tests {
			for _, e := range append([]Entry{other}, tt.entries...) {
				e.Subject = name
				apply(t, s, say(e))
			}
			got := map[string]string{}
			for _, r := range find(t, s, name).Records {
				got[r.Purpose+" "+r.Recipient] = letters(r)
			}
			if got["news "] != tt.all || got["news ads"] != tt.ads || got["other ads"] != "g" {
				t.Errorf("%s: got %q", name, got)
			}
			if history, err := s.History(t.Context(), name); err != nil || len(history) != tt.history+1 {
				t.Errorf("%s: got %d entries of history, %v, want %d", name, len(history), err, tt.history+1)
			}
		}
	})
}

// TestEverybodyInAnyOrder shows that the order in which files are imported lets no consent count that would not count in the
// order in which things were said.
func TestEverybodyInAnyOrder(t *testing.T) {
	said := []Entry{gives("p", "news"), says("p", "news", Withdraw), gives("p", "news"), says("p", "news", Object), gives("p", "news")}
	for late := range len(said) + 1 { // when the consent to ads was given
		ads := gives("p", "news")
		ads.Recipient = "ads"
		entries := slices.Insert(slices.Clone(said), late, ads)
		for i := range entries {
			entries[i].At = time.Date(2025, 1, 1+i, 0, 0, 0, 0, time.UTC)
		}
		permutations(entries, func(entries []Entry) {
			held, seq := map[string]*stock{}, int64(0)
			for _, e := range entries {
				seq++
				if _, err := newPlan(say(e), held, seq, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range held["p"].states {
				if counts := s.Withdrawn.IsZero() && s.Given.After(s.Objected); s.Recipient == "ads" && counts && late < 4 {
					var order []string
					for _, e := range entries {
						order = append(order, fmt.Sprint(e.Event, " ", e.Recipient, e.At.Day()))
					}
					t.Fatalf("a consent counts that was ended: %q", order)
				}
			}
		})
	}
}

func permutations(entries []Entry, f func([]Entry)) {
	var choose func(n int)
	choose = func(n int) {
		if n == len(entries) {
			f(slices.Clone(entries))
			return
		}
		for i := n; i < len(entries); i++ {
			entries[n], entries[i] = entries[i], entries[n]
			choose(n + 1)
			entries[n], entries[i] = entries[i], entries[n]
		}
	}
	choose(0)
}

// TestEndedNow shows that who is deleted, and what is closed, keeps what is changed meanwhile, and ends by the store's clock.
func TestEndedNow(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		profile := Profile{Subject: "p", Minor: true, Guardians: []string{"mum"}}
		ticket := Case{ID: "T-1", Kind: "ticket", Subject: "p", Callers: []string{"clerk"}, Ends: time.Now().AddDate(1, 0, 0)}
		over := Case{ID: "T-2", Kind: "ticket", Subject: "p", Ends: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}
		apply(t, s, Batch{Profiles: []Profile{profile}, Cases: []Case{ticket, over}})
		before := time.Now().Add(-time.Minute) // clocks differ
		stolen := Case{ID: "T-1", Subject: "q"}
		b := Batch{Ended: []string{"p", "new"}, Closed: []Case{{ID: "T-1", Subject: "p"}, {ID: "T-2", Subject: "p"}, {ID: "none", Subject: "p"}}}
		for _, want := range []int{3, 0} {
			if changes := apply(t, s, b); len(changes) != want {
				t.Errorf("got %v, want %d changes", changes, want)
			}
		}
		if changes := apply(t, s, Batch{Closed: []Case{stolen}}); len(changes) > 0 {
			t.Error("a case was closed as one of another data subject")
		}
		got := find(t, s, "p")
		ended, closed := got.Ended, got.Cases[0]
		if !got.Minor || len(got.Guardians) != 1 || len(closed.Callers) != 1 {
			t.Errorf("got %+v, want that the rest stays", got)
		}
		for _, at := range []time.Time{ended, closed.Ends} {
			if at.Before(before) || at.After(time.Now().Add(time.Minute)) {
				t.Errorf("it ended at %v", at)
			}
		}
		if !got.Cases[1].Ends.Equal(over.Ends) {
			t.Errorf("what was over ends at %v", got.Cases[1].Ends)
		}
		if who := find(t, s, "new"); who.Ended.IsZero() {
			t.Error("of whom nothing was known is not deleted")
		}
		if err := (&Batch{Ended: []string{"p", "x\n"}}).Check(); err == nil {
			t.Error("an id that nobody has is deleted")
		}
	})
}
