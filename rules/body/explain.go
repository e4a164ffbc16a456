package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/caddy-minimize/minimize/rules"
)

// Explained is what becomes of one document, value by value.
type Explained struct {
	Values  []*Value
	Refusal *rules.Refusal // nil: it is sent
	Output  []byte         // what is sent
}

// Value is a scalar of a document, or a container that goes as a whole or by its name, at its place.
type Value struct {
	Judged            // empty where it goes with a container around it: then nobody looked at it
	At       string   // a JSON Pointer (RFC 6901)
	RecordAt string   // where the record starts that owns it
	Pieces   bool     // it is a long text, told of in pieces; what is left of it is not
	Gone     bool     // it goes with a container or a record around it
	With     string   // where that starts
	Text     []byte   // as it came
	Values   []*Value // of the document that it holds
}

// Explain judges one JSON document as a gateway does that holds all of it, and says what becomes of each value. Of a
// document that cannot be read there are no values. It keeps nothing of what it is given.
func Explain(j *rules.Judge, document []byte) (*Explained, error) {
	var e Explained
	var told []*Judged
	w := NewJSON(j, Limits{HoldAll: true, MaxBody: int64(len(document))}, func(p []byte, _ bool) error {
		e.Output = slices.Clone(p)
		return nil
	})
	defer w.Release()
	w.Observe(func(v *Judged) { told = append(told, v) })
	w.Write(document) // Close repeats its error
	if err := w.Close(); err != nil && !errors.As(err, &e.Refusal) {
		return nil, err
	}
	if len(told) > 0 {
		e.Values = placed(document, told)
	}
	return &e, nil
}

// spot is where a value stands in a document.
type spot struct {
	at         string
	start, end int64
	holds      int // how many follow that are inside of it
	container  bool
}

// placed gives everything that was told of a document its place. A value that nobody told of goes with one around it.
func placed(document []byte, told []*Judged) (values []*Value) {
	spots := spotsOf(document)
	at := map[int64]string{}
	for _, p := range spots {
		at[p.start] = p.at
	}
	gone := 0 // up to which spot values go with one around them
	var with *Value
	for i, p := range spots {
		v := &Value{At: p.at, Text: document[p.start:p.end]}
		if i < gone {
			v.Gone, v.With, v.Record, v.RecordAt = true, with.At, with.Record, with.RecordAt
		}
		for ; len(told) > 0 && told[0].Start < p.end && (told[0].Start == p.start || !p.container); told = told[1:] {
			v.take(told[0])
		}
		if v.Record != nil && v.End > 0 {
			v.RecordAt = at[v.RecordStart]
		}
		if len(v.Inside) > 0 {
			v.Values = placed(textOf(v.Text), v.Inside)
		}
		if (v.Whole || v.Dropped) && i >= gone {
			gone, with = i+1+p.holds, v
			if v.Dropped {
				v.Gone, v.With = true, p.at
			}
		}
		if !p.container || v.Whole || v.Dropped || len(v.Parts) > 0 {
			values = append(values, v)
		}
	}
	return values
}

// take takes what was told of a value, or of a piece of it, where it is a long text.
func (v *Value) take(j *Judged) {
	if v.Judged.End == 0 {
		v.Judged = *j
		return
	}
	v.Parts = append(v.Parts, j.Parts...)
	v.Left, v.Pieces = nil, true
	if j.Action > v.Action {
		v.Action, v.Decision, v.Category = j.Action, j.Decision, j.Category
	}
}

func textOf(quoted []byte) []byte {
	var text string
	_ = json.Unmarshal(quoted, &text) // it was read already
	return []byte(text)
}

// spotsOf are the places of all values of a document that the scanner has proven well-formed, in order.
func spotsOf(document []byte) []spot {
	mark := len(document) - len(bytes.TrimPrefix(document, []byte("\xef\xbb\xbf")))
	w := walk{Decoder: json.NewDecoder(bytes.NewReader(document[mark:])), text: document, mark: int64(mark)}
	w.UseNumber()
	w.value("")
	return w.spots
}

type walk struct {
	*json.Decoder
	text  []byte
	mark  int64 // bytes before the document
	spots []spot
}

// value walks the value that comes, which stands at a place.
func (w *walk) value(at string) {
	start := w.mark + w.InputOffset()
	for bytes.IndexByte([]byte(" \t\r\n,:"), w.text[start]) >= 0 {
		start++
	}
	i := len(w.spots)
	w.spots = append(w.spots, spot{at: at, start: start})
	token, _ := w.Token()
	if bracket, ok := token.(json.Delim); ok {
		w.spots[i].container = true
		for n := 0; w.More(); n++ {
			step := strconv.Itoa(n)
			if bracket == '{' {
				name, _ := w.Token()
				step = rules.EscapeName(name.(string))
			}
			w.value(at + "/" + step)
		}
		_, _ = w.Token()
	}
	w.spots[i].end, w.spots[i].holds = w.mark+w.InputOffset(), len(w.spots)-i-1
}
