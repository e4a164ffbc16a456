package minimize

import (
	"strings"
	"testing"
)

// TestTooMuch: a small document whose explanation would take gigabytes is seen before it is explained.
func TestTooMuch(t *testing.T) {
	nested := strings.Repeat(`{"`+strings.Repeat("k", 300)+`":`, 100)
	for name, c := range map[string]struct {
		document string
		want     bool
	}{
		"an order":            {triedSample, false},
		"many lines":          {`[` + strings.Repeat(`{"a":[1,2,"x"],"b":null},`, 2000) + `0]`, false},
		"zeros":               {`[` + strings.Repeat("0,", 120_000) + `0]`, true},
		"long names, few":     {nested + `[0,0]` + strings.Repeat("}", 100), false},
		"long names, many":    {nested + `[` + strings.Repeat("0,", 10_000) + `0]` + strings.Repeat("}", 100), true},
		"long names, in turn": {`[` + strings.Repeat(`{"`+strings.Repeat("k", 100)+`":[]},`, 2000) + `{}]`, false},
		"members":             {`{` + strings.Repeat(`"a":{},`, 25_000) + `"b":{"c":1}}`, true},
	} {
		if got := tooMuch(c.document); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
