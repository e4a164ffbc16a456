package rules

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkScope finds what holds for a request among the operations of a large API.
func BenchmarkScope(b *testing.B) {
	for _, n := range []int{1, 50, 500} {
		var text strings.Builder
		text.WriteString("minimize: 1\nroutes:\n")
		for i := range n {
			fmt.Fprintf(&text, "  - {operations: 'GET /v1/things%d/*/parts/*', fields: [{at: /a/*/phone, is: contact.phone}]}\n", i)
		}
		doc, err := Parse("api.yaml", []byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		r, err := Compile([]*Document{doc}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Scope("GET", "/v1/things7/12/parts/3")
			}
		})
		b.Run(fmt.Sprintf("compile %d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Compile([]*Document{doc}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
