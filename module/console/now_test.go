package console

import (
	"fmt"
	"testing"
)

// TestTreated: of a message with many categories it is told both what was withheld and what was disclosed.
func TestTreated(t *testing.T) {
	values := []Values{{"order.number", "keep", 3}, {"contact.phone", "mask", 1}}
	for i := range 9 {
		values = append(values, Values{fmt.Sprint("device.", i), "strip", int64(i)})
	}
	got := fmt.Sprint(treated(values))
	want := "[{strip [{device.8 strip 8} {device.7 strip 7} {device.6 strip 6} {device.5 strip 5}] 5} {mask [{contact.phone mask 1}] 0} {keep [{order.number keep 3}] 0}]"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestBars: the smallest share can be seen, and all of them together fill the bar.
func TestBars(t *testing.T) {
	v := Now{Kept: 500, Outcomes: []Share{{"refused", Bad, 1}, {"minimized", Changed, 490}, {"passed", Plain, 9}}}
	x := 0
	for _, b := range v.Bars() {
		if b.X != x || b.Width < 6 {
			t.Errorf("%+v begins at %d", b, x)
		}
		x += b.Width
	}
	if x < 990 || x > 1000 {
		t.Errorf("the bar is %d long", x)
	}
}
