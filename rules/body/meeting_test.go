package body

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

// TestDocumentsThatMeet: where the documents that hold for an operation tell too many places apart together, nobody knows what
// stands where, so nothing is disclosed.
func TestDocumentsThatMeet(t *testing.T) {
	deep := func(name string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "minimize: 1\noperations: [GET /%s, GET /both]\n", name)
		b.WriteString("fields:\n  - {at: /zqw, is: person.name}\n")
		for i := range 9 {
			fmt.Fprintf(&b, "  - {at: /**/%s%d/**/x%d, is: content.text}\n", name, i, i)
		}
		return b.String()
	}
	r := rulesOf(t, shop, deep("a"), deep("b"), someNames)
	for _, test := range []struct{ path, want string }{{"/a", `{"a":1}`}, {"/b", `{"a":1}`}, {"/both", ""}} {
		got, _, err := rewrite(judgeFor(r.Scope("GET", test.path), "reader"), Limits{}, `{"zqw":"Ada","a":1}`, 99)
		refusal, refused := errors.AsType[*rules.Refusal](err)
		if string(got.body) != test.want || refused != (test.want == "") || refused && refusal.Reason != rules.Unavailable {
			t.Errorf("%s: got %q, %v", test.path, got.body, err)
		}
	}
}
