package body

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

// TestNothingIsLeft looks for a body's bytes in a rewriter that was released.
func TestNothingIsLeft(t *testing.T) {
	for _, doc := range []string{phones, records, giants} {
		s := scopeOf(t, doc)
		const secret = "13800138000"
		long := strings.Repeat(secret+" ", 8<<10)
		body := `{"` + secret + `":{"a":1},"text":"call ` + secret + `","orders":[{"imei":"` + secret + `","buyer":{"id":"` + secret + `"}}],"list":[{"id":"` + secret +
			`"}],"phone":"\u0031` + secret + `","orderNo":"` + secret + `","name":"` + secret + `","a":"` + long + `"}`
		for _, hold := range []int{0, 100, 10000} {
			w := NewJSON(judgeFor(s, "reader"), Limits{Hold: hold}, func([]byte, bool) error { return nil })
			if _, err := w.Write([]byte(body)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			w.Release()
			for i, b := range [][]byte{w.held, w.out, w.facts, w.text, w.edited, w.spare, w.context} {
				if len(b) > 0 || bytes.Trim(b[:cap(b)], "\x00") != nil {
					t.Errorf("hold %d: buffer %d holds %q", hold, i, bytes.Trim(b[:cap(b)], "\x00"))
				}
			}
			if strings.Contains(fmt.Sprintf("%+v %+v %+v", w.stray, w.values[:cap(w.values)], w.report), secret) || w.why != nil {
				t.Errorf("hold %d: something is left", hold)
			}
			for _, n := range w.learnt.nodes {
				for name := range n.fields {
					if strings.Contains(name, secret) {
						t.Errorf("a name that is data is remembered")
					}
				}
			}
		}
	}
}

// TestNothingIsLeftOfForms looks for what stood in a form and in parts in a rewriter that was released.
func TestNothingIsLeftOfForms(t *testing.T) {
	s := scopeOf(t, partRules)
	const secret = "13800138000"
	for range 2 {
		var c collected
		form := `{"realName":"x` + secret + `","u":"=b"}&` + secret + "=1&phone=%31" + secret + "&a=call+" + secret
		w := NewForm(judgeFor(s, "reader"), Limits{}, c.sink)
		if _, _, err := sent(w, &c, form, 9); err != nil {
			t.Fatal(err)
		}
		body := parts(part1(secret, secret), filePart("f", secret, "application/json", `{"`+secret+`":"`+secret+`"}`), filePart("g", secret, "image/png", secret))
		p, err := NewMultipart(judgeFor(s, "reader"), Limits{}, c.sink, "b", images)
		if err != nil {
			t.Fatal(err)
		}
		p.SetBoundary(secret)
		c = collected{}
		if _, _, err := sent(p, &c, body, 9); err != nil {
			t.Fatal(err)
		}
		for _, w := range []*JSON{w, p} {
			for i, b := range [][]byte{w.held, w.out, w.facts, w.text, w.edited, w.spare, w.context, w.boundary, w.own} {
				if len(b) > 0 || bytes.Trim(b[:cap(b)], "\x00") != nil {
					t.Errorf("buffer %d holds %q", i, bytes.Trim(b[:cap(b)], "\x00"))
				}
			}
			for _, n := range w.parameters.nodes {
				for name := range n.fields {
					if strings.Contains(name, secret) {
						t.Errorf("a name that is data is remembered")
					}
				}
			}
		}
	}
}

// TestOneOwner rewrites different bodies at the same time.
func TestOneOwner(t *testing.T) {
	s := scopeOf(t, phones)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				id := fmt.Sprintf("%d-%d", g, i)
				body := `{"id":"` + id + `","imei":"` + id + `","list":["` + strings.Repeat(id, i%50) + `"]}`
				c, report, err := rewrite(judgeFor(s, "reader"), Limits{Hold: 10 + i%100}, body, 1+i%30)
				if want := strings.Replace(body, `"imei":"`+id, `"imei":"`, 1); err != nil || string(c.body) != want {
					t.Errorf("%v: %s gave %s", err, body, c.body)
				}
				if report.Read != int64(len(body)) || report.Written != int64(len(c.body)) {
					t.Errorf("%+v", report)
				}
			}
		})
	}
	all.Wait()
}

// TestReport counts what was decided, hits in texts too, and a container taken away once.
func TestReport(t *testing.T) {
	set := rulesOf(t, phones, someNames)
	j := judgeFor(set.Scope("GET", "/"), "reader")
	_, report, err := rewrite(j, Limits{}, `{"imei":{"a":1,"b":[2]},"imei":1,"phone":"1","phone":["2","3"],"orderNo":{"phone":"4"},"a":"13800138000, 13900139000","b":5,"c":{"d":"","e":[true,"{\"f\":6}"]}}`, 7)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint32{}
	for c, row := range report.Counts {
		for a, n := range row {
			if n > 0 {
				got[string(set.Categories()[c].Name)+" "+rules.Action(a).String()] = n
			}
		}
	}
	want := map[string]uint32{"device.imei blank": 2, "contact.phone mask": 5, "order.number strip": 1, " keep": 4}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
