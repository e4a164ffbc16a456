package minimize

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

func init() {
	caddy.RegisterModule(LogEncoder{})
	caddy.RegisterModule(LogFilter{})
}

// LogEncoder formats log entries without the personal data in them: in every text of every field, by the detectors and key
// names of the base rules. URLs are read part by part, credentials and the user's name are dropped, clients' addresses lose
// their last part.
type LogEncoder struct {
	// WrappedRaw is the encoder that formats what is left. Default: json, or console on a terminal.
	WrappedRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`

	*zapcore.MapObjectEncoder `json:"-"` // the fields that With adds

	ctx     caddy.Context
	redact  *redactor
	wrapped zapcore.Encoder
	asked   bool // WrappedRaw was given
}

// CaddyModule returns the Caddy module information.
func (LogEncoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.minimize",
		New: func() caddy.Module { return new(LogEncoder) },
	}
}

// Provision loads the wrapped encoder.
func (e *LogEncoder) Provision(ctx caddy.Context) (err error) {
	e.ctx, e.MapObjectEncoder = ctx, zapcore.NewMapObjectEncoder()
	if e.redact, err = baseRedactor(); err != nil {
		return fmt.Errorf("loading the base rules: %w", err)
	}
	if e.WrappedRaw == nil {
		return e.wrap(new(logging.JSONEncoder))
	}
	mod, err := ctx.LoadModule(e, "WrappedRaw")
	if err != nil {
		return fmt.Errorf("loading the wrapped encoder: %w", err)
	}
	e.wrapped, e.asked = mod.(zapcore.Encoder), true
	return nil
}

func (e *LogEncoder) wrap(encoder interface {
	zapcore.Encoder
	caddy.Provisioner
},
) error {
	e.wrapped = encoder
	return encoder.Provision(e.ctx)
}

// ConfigureDefaultFormat chooses the console format on a terminal, as Caddy does.
func (e *LogEncoder) ConfigureDefaultFormat(w caddy.WriterOpener) error {
	if e.asked {
		if inner, ok := e.wrapped.(caddy.ConfiguresFormatterDefault); ok {
			return inner.ConfigureDefaultFormat(w)
		}
		return nil
	}
	if caddy.IsWriterStandardStream(w) && term.IsTerminal(int(os.Stderr.Fd())) {
		return e.wrap(new(logging.ConsoleEncoder))
	}
	return nil
}

// UnmarshalCaddyfile sets up the encoder from Caddyfile tokens. Syntax:
//
//	format minimize [{
//	    wrap <encoder> ...
//	}]
func (e *LogEncoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the encoder name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, nil, map[string]func() error{
		"wrap": func() error {
			if !d.NextArg() {
				return d.ArgErr()
			}
			name := d.Val()
			module, err := caddyfile.UnmarshalModule(d, "caddy.logging.encoders."+name)
			if err != nil {
				return err
			}
			if _, ok := module.(zapcore.Encoder); !ok {
				return d.Errf("%s is no log encoder", name)
			}
			e.WrappedRaw = caddyconfig.JSONModuleObject(module, "format", name, nil)
			return nil
		},
	})
}

// Clone copies the encoder and the fields that it already has.
func (e *LogEncoder) Clone() zapcore.Encoder {
	c := *e
	c.MapObjectEncoder = zapcore.NewMapObjectEncoder()
	maps.Copy(c.Fields, e.Fields)
	return &c
}

// EncodeEntry formats an entry without the personal data in it.
func (e *LogEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	to := e.wrapped.Clone()
	for _, key := range slices.Sorted(maps.Keys(e.Fields)) {
		zap.Any(key, loggable(e.redact.any(key, e.Fields[key], false))).AddTo(to)
	}
	for _, f := range fields {
		redactField(e.redact, f).AddTo(to)
	}
	entry.Message = e.redact.words(entry.Message, 0, 0)
	return to.EncodeEntry(entry, nil)
}

// LogFilter takes personal data out of one log field, for Caddy's filter encoder:
//
//	format filter {
//	    request>uri minimize
//	}
type LogFilter struct {
	redact *redactor
}

// CaddyModule returns the Caddy module information.
func (LogFilter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.filter.minimize",
		New: func() caddy.Module { return new(LogFilter) },
	}
}

// Provision loads the base rules.
func (f *LogFilter) Provision(caddy.Context) (err error) {
	f.redact, err = baseRedactor()
	return err
}

// UnmarshalCaddyfile sets up the filter from Caddyfile tokens. Syntax:
//
//	<field> minimize
func (f *LogFilter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the filter name
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Filter redacts a field.
func (f *LogFilter) Filter(in zapcore.Field) zapcore.Field { return redactField(f.redact, in) }

func redactField(r *redactor, f zapcore.Field) zapcore.Field {
	if f.Type == zapcore.NamespaceType || f.Type == zapcore.SkipType {
		return f
	}
	fields := zapcore.NewMapObjectEncoder()
	f.AddTo(fields)
	if value, ok := fields.Fields[f.Key]; ok && len(fields.Fields) == 1 {
		return zap.Any(f.Key, loggable(r.any(f.Key, value, false)))
	}
	// An inlined object, or an error that could not be written as one field.
	return zap.Inline(loggedObject(r.any("", fields.Fields, false).(map[string]any)))
}

// loggable keeps nested objects zap's own, so that durations and times in them are written as the encoder is told.
func loggable(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return loggedObject(v)
	case []any:
		return loggedArray(v)
	}
	return value
}

type loggedObject map[string]any

// MarshalLogObject writes the members in the order of their names.
func (o loggedObject) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		zap.Any(key, loggable(o[key])).AddTo(enc)
	}
	return nil
}

type loggedArray []any

// MarshalLogArray writes the elements.
func (a loggedArray) MarshalLogArray(enc zapcore.ArrayEncoder) error {
	for _, element := range a {
		var err error
		switch v := loggable(element).(type) {
		case loggedObject:
			err = enc.AppendObject(v)
		case loggedArray:
			err = enc.AppendArray(v)
		case string:
			enc.AppendString(v)
		default:
			err = enc.AppendReflected(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ zapcore.Encoder                  = (*LogEncoder)(nil)
	_ caddy.Provisioner                = (*LogEncoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*LogEncoder)(nil)
	_ caddyfile.Unmarshaler            = (*LogEncoder)(nil)
	_ logging.LogFieldFilter           = (*LogFilter)(nil)
	_ caddyfile.Unmarshaler            = (*LogFilter)(nil)
)
