package minimize

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// audit writes one JSON line per judged message. One without a writer writes nothing.
type audit struct {
	opener   caddy.WriterOpener
	node     string
	required bool // what cannot be told of is not sent
	metrics  *metrics
	logger   *zap.Logger
	chain    *auditlog.Chain // nil: there is no writer
	failing  atomic.Bool     // the last line could not be written
}

// auditWriters are the open writers by their keys: across a reload of the configuration old and new app share one file.
var auditWriters = caddy.NewUsagePool()

type auditWriter struct {
	*auditlog.Chain
	io.Closer
}

// Destruct closes the writer when no app uses it anymore.
func (w auditWriter) Destruct() error { return w.Close() }

// openWriter opens the writer. The log goes on where its file ends; what goes to another place starts with the first entry.
func (l *audit) openWriter() (caddy.Destructor, error) {
	w, err := l.opener.OpenWriter()
	if err != nil {
		return nil, err
	}
	chain := auditlog.NewChain(w, auditlog.Head{})
	if file, ok := l.opener.(*logging.FileWriter); ok {
		if chain, err = auditlog.Continue(w, file.Filename); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return auditWriter{chain, w}, nil
}

func (a *App) provisionAudit(ctx caddy.Context) (*audit, error) {
	log := &audit{metrics: a.metrics, logger: a.logger, node: a.Node, required: a.AuditRequired}
	if a.AuditRaw == nil {
		if a.AuditRequired {
			return nil, errors.New("an audit log is required, and there is none: say where it goes, as in `audit required output file audit.jsonl`")
		}
		return log, nil
	}
	if log.node == "" {
		var err error
		if log.node, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("finding the host's name for the audit log (or say `node NAME`): %w", err)
		}
	}
	mod, err := ctx.LoadModule(a, "AuditRaw")
	if err != nil {
		return nil, fmt.Errorf("loading the audit log's writer: %w", err)
	}
	log.opener = mod.(caddy.WriterOpener)
	return log, nil
}

func (l *audit) open() error {
	if l.opener == nil {
		return nil
	}
	w, _, err := auditWriters.LoadOrNew(l.opener.WriterKey(), l.openWriter)
	if err != nil {
		return fmt.Errorf("opening the audit log %s: %w", l.opener, err)
	}
	l.chain = w.(auditWriter).Chain
	return nil
}

func (l *audit) close() error {
	if l == nil || l.chain == nil {
		return nil
	}
	_, err := auditWriters.Delete(l.opener.WriterKey())
	return err
}

// errUnaudited refuses what could not be told of where it has to be.
var errUnaudited = &rules.Refusal{Reason: rules.Unavailable, Detail: "the audit log cannot be written at the moment, and nothing is sent without it"}

// end writes an entry, and returns the refusal where it has to be there and is not.
func (l *audit) end(line *auditLine) *rules.Refusal {
	line.close()
	_, err := l.chain.Write(line.b)
	auditLines.Put(line)
	if failed := err != nil; l.failing.Load() != failed {
		l.failing.Store(failed)
	}
	if err == nil {
		l.metrics.auditEntries.Inc()
		return nil
	}
	l.metrics.auditFailures.Inc()
	l.logger.Error("writing the audit log", zap.Error(err))
	if l.required {
		return errUnaudited
	}
	return nil
}

// token stands for an id in the audit log.
func (s *ruleset) token(of rules.Category, id string) string { return auditlog.Token(s.keys, of, id) }

// consentLine is a change of what a data subject agreed to, or a look at it by somebody else.
type consentLine struct {
	decision, event, purpose, recipient, level, givenBy string
	subject, caller                                     string // ids, which leave as tokens
	role                                                string
	gpc                                                 bool
	rules                                               *ruleset
}

// writeConsent tells about one. Purpose and recipient are the rules' own words or "other": a client may write anything there.
// It returns why the change may not be made, or the look not be answered.
func (l *audit) writeConsent(c *consentLine) *rules.Refusal {
	if l.chain == nil {
		return nil
	}
	known := func(name string, known func(string) bool) string {
		if name == "" || known(name) {
			return name
		}
		return "other"
	}
	line := newAuditLine(time.Now())
	line.text("decision", c.decision)
	line.text("direction", "consent")
	line.text("event", c.event)
	line.text("subject", c.rules.token(auditlog.Subject, c.subject))
	line.text("caller", c.rules.token(auditlog.Caller, c.caller))
	line.text("role", c.role)
	line.text("purpose", known(c.purpose, c.rules.enforced.KnowsPurpose))
	line.text("recipient", known(c.recipient, c.rules.enforced.KnowsRecipient))
	line.text("level", c.level)
	line.text("given_by", c.givenBy)
	line.truth("gpc", c.gpc)
	line.text("node", l.node)
	line.text("rules", c.rules.enforced.Hash())
	return l.end(line)
}
