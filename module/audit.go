package minimize

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// audit writes one JSON line per judged message. A nil audit, or one without a writer, writes nothing.
type audit struct {
	opener  caddy.WriterOpener
	metrics *metrics
	logger  *zap.Logger
	core    zapcore.Core
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
	log := &audit{metrics: a.metrics, logger: a.logger}
	if a.AuditRaw == nil {
		return log, nil
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
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:    "time",
		EncodeTime: zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00"),
	})
	l.core = zapcore.NewCore(encoder, zapcore.AddSync(w.(io.Writer)), zapcore.InfoLevel)
	return nil
}

func (l *audit) close() error {
	if l == nil || l.core == nil {
		return nil
	}
	_, err := auditWriters.Delete(l.opener.WriterKey())
	return err
}

// write tells about one message. candidate is what the candidate rules would have done; nil: there are none.
func (l *audit) write(m *message, res, candidate *result) {
	if l.core == nil || res.outcome == outcomeEmpty && m.disclosure.Position != rules.Egress {
		return
	}
	fields := []zap.Field{
		zap.String("decision", m.id),
		zap.String("direction", m.direction()),
		zap.String("operation", m.operation()),
		zap.String("caller", m.rules.token(m.disclosure.Caller.ID)),
		zap.String("role", m.role()),
		zap.String("purpose", m.purpose()),
		zap.String("country", m.disclosure.Caller.Country),
		zap.String("mode", m.h.Mode),
		zap.Int("status", res.status),
		zap.Inline(auditResult{m.rules.enforced, res}),
		zap.String("rules", m.rules.enforced.Hash()),
	}
	if m.disclosure.Recipient != "" {
		fields = append(fields, zap.String("recipient", m.disclosure.Recipient), zap.String("recipient_country", m.recipientCountry()))
	}
	if m.contradicted {
		fields = append(fields, zap.Bool("contradicted", true))
	}
	if candidate != nil {
		fields = append(fields, zap.Object("candidate", auditResult{m.rules.candidate, candidate}))
	}
	l.line(fields)
}

func (l *audit) line(fields []zap.Field) {
	if err := l.core.Write(zapcore.Entry{Time: time.Now().UTC()}, fields); err != nil {
		l.metrics.auditFailures.Inc()
		l.logger.Error("writing the audit log", zap.Error(err))
	}
}

// token is the id of a caller or a data subject as a keyed token: the same one is seen again, and nobody without the key
// learns who it is. Without keys nothing is written.
func (s *ruleset) token(id string) string {
	if id == "" || s.keys == nil {
		return ""
	}
	return string(s.keys.Append(nil, "audit", "caller", []byte(id)))
}

// consentLine is a change of what a data subject agreed to, or a look at it by somebody else.
type consentLine struct {
	decision, event, purpose, recipient, level, givenBy string
	subject, caller                                     string // ids, which leave as tokens
	role                                                string
	gpc                                                 bool
	rules                                               *ruleset
}

// writeConsent tells about one. Purpose and recipient are the rules' own words or "other": a client may write anything there.
func (l *audit) writeConsent(c *consentLine) {
	if l.core == nil {
		return
	}
	known := func(name string, known func(string) bool) string {
		if name == "" || known(name) {
			return name
		}
		return "other"
	}
	l.line([]zap.Field{
		zap.String("decision", c.decision),
		zap.String("direction", "consent"),
		zap.String("event", c.event),
		zap.String("subject", c.rules.token(c.subject)),
		zap.String("caller", c.rules.token(c.caller)),
		zap.String("role", c.role),
		zap.String("purpose", known(c.purpose, c.rules.enforced.KnowsPurpose)),
		zap.String("recipient", known(c.recipient, c.rules.enforced.KnowsRecipient)),
		zap.String("level", c.level),
		zap.String("given_by", c.givenBy),
		zap.Bool("gpc", c.gpc),
		zap.String("rules", c.rules.enforced.Hash()),
	})
}

type auditResult struct {
	set *rules.Ruleset
	res *result
}

// MarshalLogObject writes the counted answers.
func (r auditResult) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("outcome", r.res.outcome)
	if r.res.refusal != nil {
		enc.AddString("reason", r.res.refusal.Reason.String())
		enc.AddString("rule", r.res.refusal.Rule)
	}
	if r.res.report == nil {
		return nil
	}
	enc.AddInt64("read", r.res.report.Read)
	enc.AddInt64("written", r.res.report.Written)
	enc.AddInt("dropped", r.res.report.Dropped)
	return enc.AddObject("values", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
		countValues(r.set, r.res.report, func(category, action string, n uint32) {
			enc.AddUint32(category+" "+action, n)
		})
		return nil
	}))
}
