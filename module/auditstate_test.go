package minimize

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditState: what runs knows its log's head, and notices also what leaves no trace in the files.
func TestAuditState(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", shop)
	for range 3 {
		g.get("/api/orders")
	}
	log := running.Load().audit
	state := log.state()
	if len(state.Files) != 1 || state.Files[0] != filepath.Join(g.dir, "audit.jsonl") || state.Required || state.Head.Seq != 3 {
		t.Errorf("got %+v", state)
	}
	all := func(int) error { return nil }
	if v, err := log.verify(all); err != nil || len(v.Findings) > 0 || v.Head != state.Head {
		t.Errorf("got %+v, %v", v, err)
	}
	text := g.read("audit.jsonl")
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for _, changed := range []string{lines[0] + lines[1], strings.Replace(text, lines[2], strings.Replace(lines[2], "support", "nobody", 1), 1)} {
		g.write("audit.jsonl", changed)
		if v, err := log.verify(all); err != nil || len(v.Findings) != 1 {
			t.Errorf("got %+v, %v", v, err)
		}
	}
}
