package minimize

import (
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// auditLine is an entry as it is written: appended to a buffer that is used again, because it is on every message's way and
// garbage costs a gateway more than the writing.
type auditLine struct{ b []byte }

var auditLines = sync.Pool{New: func() any { return new(auditLine) }}

// newAuditLine begins an entry. Give it back when it is written.
func newAuditLine(now time.Time) *auditLine {
	l := auditLines.Get().(*auditLine)
	l.b = append(l.b[:0], `{"time":"`...)
	l.b = append(now.UTC().AppendFormat(l.b, "2006-01-02T15:04:05.000Z07:00"), '"')
	return l
}

// next begins a member, of this entry or of an object in it. Its name, here in parts, needs no escapes: it is a word of ours or
// a category's.
func (l *auditLine) next(name ...string) {
	if last := l.b[len(l.b)-1]; last != '{' {
		l.b = append(l.b, ',')
	}
	l.b = append(l.b, '"')
	for _, part := range name {
		l.b = append(l.b, part...)
	}
	l.b = append(l.b, `":`...)
}

func (l *auditLine) text(name, value string) {
	l.next(name)
	l.b = gjson.AppendJSONString(l.b, value)
}

// words is a text unless it is empty.
func (l *auditLine) words(name, value string) {
	if value != "" {
		l.text(name, value)
	}
}

func (l *auditLine) number(name string, n int64) {
	l.next(name)
	l.b = strconv.AppendInt(l.b, n, 10)
}

func (l *auditLine) truth(name string, is bool) {
	l.next(name)
	l.b = strconv.AppendBool(l.b, is)
}

func (l *auditLine) open(name string) {
	l.next(name)
	l.b = append(l.b, '{')
}

func (l *auditLine) close() { l.b = append(l.b, '}') }
