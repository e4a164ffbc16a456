package auditlog

import (
	"testing"

	"github.com/tidwall/gjson"
)

// TestSummary: a message counts as sent if somebody could receive something.
func TestSummary(t *testing.T) {
	for _, test := range []struct {
		entry          string
		messages, rows int
	}{
		{`"mode":"enforce","outcome":"minimized","values":{"order keep":1}`, 1, 1},
		{`"mode":"enforce","outcome":"refused"`, 0, 1},
		{`"mode":"enforce","outcome":"failed"`, 0, 0},
		{`"mode":"report","outcome":"failed"`, 0, 0},
		{`"mode":"report","outcome":"failed","values":{"order keep":1}`, 1, 1},
		{`"mode":"report","outcome":"refused"`, 1, 1},
	} {
		var s Summary
		if err := s.Add(gjson.Parse(`{"time":"2026-11-05T10:00:00Z","direction":"response","role":"support",` + test.entry + `}`)); err != nil {
			t.Fatal(err)
		}
		messages := 0
		for _, r := range s.Rows() {
			messages += r.Messages
		}
		if messages != test.messages || len(s.Rows()) != test.rows {
			t.Errorf("%s: %d messages in %d rows, want %d in %d", test.entry, messages, len(s.Rows()), test.messages, test.rows)
		}
	}
}
