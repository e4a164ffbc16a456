package body

import (
	"bytes"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// Head judges what a request carries before its body: its path, its query, and the values of its headers. Selectors reach
// a query's parameters as they reach a form's, and nothing else here; names do. Its errors are refusals of the message. It
// is for one goroutine.
type Head struct {
	judge   *rules.Judge
	report  rules.Report
	blocked map[int]uint32 // by category, in the last text
}

// NewHead returns what judges the head of one message.
func NewHead(j *rules.Judge) *Head { return &Head{judge: j} }

// Report is what was decided so far.
func (h *Head) Report() *rules.Report { return &h.report }

// Query judges a query as it stands behind the question mark. It is strict as NewForm is.
func (h *Head) Query(raw string) (string, error) {
	if strings.Contains(raw, "#") {
		return "", &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a query with a fragment"}
	}
	var out []byte
	w := NewForm(h.judge, atOnce(raw), func(p []byte, _ bool) error { out = append(out, p...); return nil })
	defer w.Release()
	w.Write([]byte(raw)) // Close repeats its error
	err := w.Close()
	h.add(&w.report)
	if err != nil {
		return "", err
	}
	return string(out), nil
}

// Path judges a path, escaped as it is sent. What detectors find in it is masked. Where more than that would have to go the
// message is refused, because there is none without a path.
func (h *Head) Path(escaped string) (string, error) {
	plain := []byte(strings.ReplaceAll(escaped, ";", ","))
	if badParam(plain) >= 0 || !readable(unescapePercent(nil, plain, false)) {
		return "", &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a path"}
	}
	out, _, err := h.run("", escaped, func(w *JSON) {
		w.pieces('/', func(start, end int) { w.lone("", start, end, path) })
	})
	return out, err
}

// Text judges a text by a name: its own, or that of the header it stands in. It reports false if nothing of it may stay.
func (h *Head) Text(name, value string) (out string, stays bool, err error) {
	return h.run("", value, func(w *JSON) { w.lone(name, 0, len(w.held), plainText) })
}

// Header judges the value of a header, as one of a request is read. It reports false if the header has to go.
func (h *Head) Header(name, value string) (out string, stays bool, err error) {
	switch strings.ToLower(name) {
	case "cookie":
		return h.run(name, value, func(w *JSON) { w.pieces(';', w.cookie) })
	case "x-forwarded-for":
		return h.run("", value, func(w *JSON) {
			w.pieces(',', func(start, end int) { w.lone(name, start, end, plainText) })
		})
	case "referer": // a page that was visited, and a URL with parameters of its own
		return h.run(name, value, func(w *JSON) { w.lone("", 0, len(w.held), plainText) })
	case "forwarded":
		return h.forwarded(value)
	}
	return h.Text(name, value)
}

// Cookie judges one pair of a Cookie header by its own name, as if it did not stand in one.
func (h *Head) Cookie(pair string) (out string, stays bool, err error) {
	return h.run("", pair, func(w *JSON) { w.cookie(0, len(w.held)) })
}

// atOnce holds a text until all of it was judged.
func atOnce(text string) Limits { return Limits{HoldAll: true, MaxBody: int64(len(text))} }

// LeftOut tells that the last text, which was refused, is left out, and the message goes on: its values are stripped.
func (h *Head) LeftOut() {
	for c, n := range h.blocked {
		h.report.Counts[c][rules.Block] -= n
		h.report.Counts[c][rules.Strip] += n
	}
	clear(h.blocked)
}

func (h *Head) add(r *rules.Report) {
	clear(h.blocked)
	for c, actions := range r.Counts {
		if n := actions[rules.Block]; n > 0 {
			if h.blocked == nil {
				h.blocked = make(map[int]uint32)
			}
			h.blocked[c] = n
		}
		for len(h.report.Counts) <= c {
			h.report.Counts = append(h.report.Counts, [rules.ActionCount]uint32{})
		}
		for a, n := range actions {
			h.report.Counts[c][a] += n
		}
	}
	h.report.Read += r.Read
	h.report.Written += r.Written
}

// run judges one text as an object of what scan finds in it. What is declared of the name around holds for all of it.
func (h *Head) run(around, value string, scan func(w *JSON)) (out string, stays bool, err error) {
	if !readable([]byte(value)) || strings.ContainsAny(value, "\r\n") {
		return "", false, &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a text that is not UTF-8, or more than a line"}
	}
	if value == "" {
		return "", true, nil
	}
	w := newMembers(h.judge, atOnce(value), func(p []byte, _ bool) error { out = string(p); return nil }, single)
	defer w.Release()
	w.held = append(room(w.held, len(value)), value...)
	w.report.Read = int64(len(value))
	w.enterMembers(w.nowhere(around))
	scan(w)
	w.leave(len(w.held))
	w.final, w.pos = true, len(w.held)
	err = w.emit(len(w.holes), len(w.held), true)
	w.closed = true
	if len(w.report.Counts) > 0 {
		w.report.Counts[0] = [rules.ActionCount]uint32{} // a header that nobody declares is no unknown field
	}
	h.add(&w.report)
	if err != nil {
		return "", false, err
	}
	if !isSpace(value[0]) {
		out = strings.TrimLeft(out, " \t") // it stood behind what is gone
	}
	const between = " \t,;"
	empty := strings.Trim(out, between) == "" && strings.Trim(value, between) != ""
	return out, w.emitted[1] || w.frames[1].sure && !empty, nil
}

// nowhere is an object of this name that no selector reaches.
func (w *JSON) nowhere(name string) *field {
	f := &field{}
	f.node = w.parameters.inside(&field{})
	if name != "" {
		meaning := w.scope.Name([]byte(name))
		f.label = w.scope.Key(&meaning, nil)
	}
	return f
}

// lone attends to a text of this name at [start, end) of the window.
func (w *JSON) lone(name string, start, end int, k kind) {
	w.member([]byte(name))
	w.leaf(&w.frames[1], w.field, start, end, k)
}

// pieces attends to what stands between separators. Space around a piece is none of it.
func (w *JSON) pieces(separator byte, attend func(start, end int)) {
	fr := &w.frames[1]
	for at := 0; ; {
		end := len(w.held)
		if n := bytes.IndexByte(w.held[at:], separator); n >= 0 {
			end = at + n
		}
		start := blankEnd(w.held[:end], at)
		if last := start + len(bytes.TrimRight(w.held[start:end], " \t")); last > start {
			attend(start, last)
		} else if w.skip == 0 {
			w.stays(fr)
		}
		if end == len(w.held) {
			return
		}
		fr.comma, fr.first, at = end, false, end+1
	}
}

// cookie attends to one pair (RFC 6265 §4.2.1). Its value is often escaped, though no standard says how.
func (w *JSON) cookie(start, end int) {
	name, value, named := bytes.Cut(w.held[start:end], []byte("="))
	if !named {
		name, value = nil, name
	}
	k := plainText
	if bytes.IndexByte(value, '%') >= 0 && badParam(value) < 0 {
		if w.spare = unescapePercent(emptied(w.spare), value, false); readable(w.spare) {
			k = encoded
		}
	}
	w.lone(string(name), end-len(value), end, k)
}
