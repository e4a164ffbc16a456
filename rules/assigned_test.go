package rules

import (
	"slices"
	"strings"
	"testing"
)

// naivelyAssigned is what is assigned in a text that has one name at most, by looking for it in every notation there is.
func naivelyAssigned(text, name string) bool {
	for _, escaped := range []string{"&quot;", "&#34;", "&#x22;", `\u0022`, `\x22`, `\"`, "'"} {
		text = strings.ReplaceAll(text, escaped, `"`)
	}
	text = strings.ReplaceAll(text, "：", ":")
	for _, notation := range []string{`"@":`, `"@" :`, "<@>", "<@ ", "<@\n", ":@>", `:9:"@";`, "{@:", "{ @:", ",@:", ", @:", "(@:", ";@:", "; @:", "\n@:", "\n  @:", "@ =", "@="} {
		if strings.Contains(text, strings.ReplaceAll(notation, "@", name)) {
			return true
		}
	}
	return strings.HasPrefix(strings.TrimLeft(text, " "), name+":")
}

// TestAssigned puts a name into every notation, and next to it what is none.
func TestAssigned(t *testing.T) {
	s := mustCompile(t, "fields: [{key: [full_name, 客户姓名], is: person.name}]\n").Scope("GET", "/")
	person := s.Rules().ID("person.name")
	for text, want := range map[string]bool{
		`{"full_name":"S"}`: true, `{'full_name' : 'S'}`: true, `a=1; full_name = S`: true,
		`<full_name>S</full_name>`: true, `<x:full_name a="b">S</x:full_name>`: true, `<u full_name="S"/>`: true, "<full_name\n>S": true,
		`{full_name:"S"}`: true, `{ full_name: "S" }`: true, `User{Age:7, full_name:S}`: true, `f(full_name: "S")`: true, `a;full_name:S`: true,
		"full_name: S": true, "a: 1\nfull_name: S": true, "a:\n  full_name: S": true,
		`a:1:{s:9:"full_name";s:1:"S";}`: true, "客户姓名：S": true, "你好，客户姓名：S": true, "full_name：S": true,
		`{&quot;full_name&quot;:&quot;S&quot;}`: true, `{&#34;full_name&#34;:1}`: true, `{&#x22;full_name&#x22;:1}`: true,
		`{\u0022full_name\u0022:\u0022S\u0022}`: true, `{\x22full_name\x22:1}`: true, `{\"full_name\":\"S\"}`: true,
		"my full_name: S": false, "full_name": false, "it is full_name, S": false, "a < full_name > b": false, "<full_name": false, "https://full_name://x": false,
		`say "full_name"; no more`: false, "12:30:full_name": false, "note: please ring": false, "请联系：小王": false,
	} {
		labels := s.Assigned(nil, []byte(text))
		got := slices.ContainsFunc(labels, func(l *Label) bool { return l.Category == person })
		naive := naivelyAssigned(text, "full_name") || naivelyAssigned(strings.TrimPrefix(text, "你好，"), "客户姓名")
		if got != want || naive != want {
			t.Errorf("%s: %v, the model says %v, want %v", text, got, naive, want)
		}
		if got && !MayAssign([]byte(text)) {
			t.Errorf("%s: by its look it assigns nothing", text)
		}
	}
}

// TestAssignedElsewhere are notations that dumps and lists have beside.
func TestAssignedElsewhere(t *testing.T) {
	s := mustCompile(t, "fields: [{key: [full_name, 客户姓名], is: person.name}]\n").Scope("GET", "/")
	for text, want := range map[string]bool{
		"{City:B FullName:S}": true, "map[City:B full_name:S]": true, "- full_name: S": true, "* **Full_Name**: S": true, "1.客户姓名：S": true, "1. full_name: S": true,
		"订单 客户姓名:S": true, `line\nfull_name: S`: true, "s:15:\"\x00User\x00full_name\";": true, `{&amp;quot;full_name&amp;quot;:1}`: true,
		`{\\\"full_name\\\":1}`: true, "&lt;full_name&gt;S": true, "<td>full_name: S</td>": true, "q=full_name:S": true, `{"x":"full_name: S"}`: true,
		"“full_name”:“S”": true, "他说「客户姓名」：S": true, "„full_name“: S": true, "my full_name”: S": false,
		"he met City:B full_name:S": false, "(well) full_name: S": false, "10.0.0.1:80": false, "2026-11-23T04:50:29Z": false,
		strings.Repeat("x", 300) + ": S": false, strings.Repeat("y", 300) + "\nfull_name: S": true,
	} {
		if got := len(s.Assigned(nil, []byte(text))) > 0; got != want {
			t.Errorf("%.80s: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"10.0.0.1:80", "2026-11-23T04:50:29Z", "https://x.example:8080/a", "12:30"} {
		if MayAssign([]byte(text)) {
			t.Errorf("%s is taken for a text with names", text)
		}
	}
}
