package minimize

import (
	"github.com/caddyserver/caddy/v2/modules/logging"

	"github.com/caddy-minimize/minimize/module/auditlog"
)

// auditState is what there is to say of the audit log while it is written.
type auditState struct {
	Place    string   // where it goes; "": there is none
	Files    []string // oldest first; none: it goes elsewhere than into a file
	Required bool
	Head     auditlog.Head // of the last entry
}

func (l *audit) state() auditState {
	if l.core == nil {
		return auditState{}
	}
	state := auditState{Place: l.opener.String(), Required: l.required, Head: l.chain.Head()}
	if file, ok := l.opener.(*logging.FileWriter); ok {
		state.Files = auditlog.Files(file.Filename)
	}
	return state
}

// verify checks the files of the log against what this process remembers of the last entry, so that a log that was written anew
// or cut at its end is found, too. read is told how far it came, and its error ends it.
func (l *audit) verify(read func(n int) error) (*auditlog.Verifier, error) {
	state := l.state()
	v := &auditlog.Verifier{Known: state.Head}
	return v, v.Verify(state.Files, read)
}
