package minimize

import (
	"strings"
	"testing"
	"time"
)

// TestCaseOfATokenAndOfTheStore: both let their callers act, on their data subject, as long as they are open.
func TestCaseOfATokenAndOfTheStore(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	dpo := d.as("clerk", "dpo")
	d.must("PUT", "cases/t1", `{"kind":"ticket","pii_principal_id":"u1","callers":["agent"]}`, dpo)
	d.must("PUT", "cases/t2", `{"kind":"ticket","pii_principal_id":"u2","callers":["agent"]}`, dpo)
	d.must("PUT", "cases/t3", `{"kind":"ticket","pii_principal_id":"u1","callers":["agent"],"ends":"2020-01-01T00:00:00Z"}`, dpo)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	stated := func(changes ...any) map[string]any {
		c := map[string]any{"id": "x", "kind": "ticket", "subject": "u1"}
		for i := 0; i < len(changes); i += 2 {
			if c[changes[i].(string)] = changes[i+1]; changes[i+1] == "" {
				delete(c, changes[i].(string))
			}
		}
		return c
	}
	for _, test := range []struct {
		name string
		as   string
		want bool
	}{
		{"none named: the store knows that they act in one", d.as("agent", "support"), true},
		{"by id", d.as("agent", "support", "case", "t1"), true},
		{"by id, another's", d.as("other", "support", "case", "t1"), false},
		{"by id, of another data subject", d.as("agent", "support", "case", "t2"), false},
		{"by id, closed", d.as("agent", "support", "case", "t3"), false},
		{"by id, unknown", d.as("agent", "support", "case", "t9"), false},
		{"none", d.as("other", "support"), false},
		{"stated", d.as("other", "support", "case", stated()), true},
		{"stated until", d.as("other", "support", "case", stated("ends", soon.Format(time.RFC3339))), true},
		{"stated until, as a number", d.as("other", "support", "case", stated("ends", soon.Unix())), true},
		{"stated, over", d.as("other", "support", "case", stated("ends", past.Format(time.RFC3339))), false},
		{"stated, over, as a number", d.as("other", "support", "case", stated("ends", past.Unix())), false},
		{"stated, unreadable end", d.as("other", "support", "case", stated("ends", "tomorrow")), false},
		{"stated, null end", d.as("other", "support", "case", stated("ends", nil)), false},
		{"stated, the zero time", d.as("other", "support", "case", stated("ends", "0001-01-01T00:00:00Z")), false},
		{"stated, another kind", d.as("other", "support", "case", stated("kind", "audit")), false},
		{"stated, without a kind", d.as("other", "support", "case", stated("kind", "")), false},
		{"stated, without a data subject", d.as("other", "support", "case", stated("subject", "")), false},
		{"stated, another data subject", d.as("other", "support", "case", stated("subject", "u2")), false},
	} {
		a := d.get("/api/orders", test.as)
		if got := strings.Contains(a.body, someIMEI); a.status != 200 || got != test.want {
			t.Errorf("%s: got %d %s", test.name, a.status, a.body)
		}
	}
	d.must("DELETE", "cases/t1", "", dpo)
	if a := d.get("/api/orders", d.as("agent", "support")); strings.Contains(a.body, someIMEI) {
		t.Errorf("after closing it: got %s", a.body)
	}
}
