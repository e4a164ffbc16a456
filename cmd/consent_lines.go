package cmd

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// item is what one line of a file says: exactly one of the three.
type item struct {
	line    int
	entry   *consentstore.Entry
	profile *consentstore.Profile
	c       *consentstore.Case
}

// batch is what stores these items, in their order.
func batch(items []item) consentstore.Batch {
	var b consentstore.Batch
	for _, i := range items {
		switch {
		case i.entry != nil:
			b.Entries = append(b.Entries, *i.entry)
		case i.c != nil:
			b.Cases = append(b.Cases, *i.c)
		default:
			b.Profiles = append(b.Profiles, *i.profile)
		}
	}
	return b
}

// lineError is a line that says nothing a store could keep. It never holds what stands there.
type lineError struct {
	line   int
	reason string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

// longestLine bounds a line of NDJSON. Entries take some hundred bytes.
const longestLine = 1 << 20

// lines reads the lines of a file as JSON objects. At the end the error is io.EOF; a lineError is of one line only, and
// the next call reads on.
type lines func() (doc []byte, line int, err error)

// The formats of files.
const (
	formatCSV    = "csv"
	formatNDJSON = "ndjson"
)

func readLines(r io.Reader, format string) (lines, error) {
	if format == formatCSV {
		return readCSV(r)
	}
	return readNDJSON(r), nil
}

// readNDJSON reads an object per line (https://github.com/ndjson/ndjson-spec). Empty lines are skipped.
func readNDJSON(r io.Reader) lines {
	s := bufio.NewScanner(r)
	s.Buffer(nil, longestLine)
	n := 0
	return func() ([]byte, int, error) {
		for s.Scan() {
			n++
			if doc := bytes.TrimSpace(s.Bytes()); len(doc) > 0 {
				return doc, n, nil
			}
		}
		switch {
		case errors.Is(s.Err(), bufio.ErrTooLong):
			return nil, n + 1, fmt.Errorf("reading line %d: it is longer than %d bytes", n+1, longestLine)
		case s.Err() != nil:
			return nil, n, fmt.Errorf("reading behind line %d: %w", n, s.Err())
		}
		return nil, n, io.EOF
	}
}

// readCSV reads rows below a header (RFC 4180), each as the object that it would be in NDJSON. A cell with nothing in it is a
// field that is not there.
func readCSV(r io.Reader) (lines, error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	row, err := rows.Read()
	if err != nil {
		return nil, errors.New("reading the header: the first line of a CSV file names its columns")
	}
	columns := make([]column, len(row))
	for i, name := range row {
		if i == 0 {
			name = strings.TrimPrefix(name, "\ufeff") // Excel begins UTF-8 with a byte order mark
		}
		if columns[i].kind = columnKinds[name]; columns[i].kind == reflect.Invalid {
			if len(row) == 1 && strings.ContainsAny(name, ";\t|") {
				return nil, errors.New("reading the header: there are no commas in it: columns are separated by commas, and only lists inside a cell by semicolons")
			}
			return nil, fmt.Errorf("reading the header: column %d has no known name; those are %s", i+1, strings.Join(columnNames, ", "))
		}
		columns[i].name = name
	}
	return func() ([]byte, int, error) {
		row, err := rows.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, csv.ErrFieldCount):
			line, _ := rows.FieldPos(0)
			return nil, line, &lineError{line, fmt.Sprintf("it has %d cells and the header %d", len(row), len(columns))}
		case errors.As(err, &wrong):
			// Quotes that do not match: where the next line begins is not known either.
			return nil, wrong.Line, fmt.Errorf("reading line %d: %w", wrong.Line, wrong.Err)
		case err != nil:
			return nil, 0, err
		}
		line, _ := rows.FieldPos(0)
		return rowJSON(columns, row), line, nil
	}, nil
}

// column is a field as a column of a CSV file.
type column struct {
	name string
	kind reflect.Kind
}

// listSeparator stands between the items of a list in a cell.
const listSeparator = ";"

// rowJSON writes a row as an object. What is no number where one belongs stays a text, for the reader to find.
func rowJSON(columns []column, row []string) []byte {
	doc := []byte{'{'}
	for i, cell := range row {
		if cell == "" {
			continue
		}
		if len(doc) > 1 {
			doc = append(doc, ',')
		}
		doc = append(appendText(doc, columns[i].name), ':')
		switch {
		case columns[i].kind == reflect.Slice:
			doc = appendList(doc, strings.Split(cell, listSeparator))
		case columns[i].kind == reflect.Bool:
			doc = appendTruth(doc, cell)
		case columns[i].kind != reflect.String && json.Valid([]byte(cell)):
			doc = append(doc, cell...)
		default:
			doc = appendText(doc, cell)
		}
	}
	return append(doc, '}')
}

// appendTruth takes over what spreadsheets write, too: TRUE.
func appendTruth(doc []byte, cell string) []byte {
	if text := strings.ToLower(cell); text == "true" || text == "false" {
		return append(doc, text...)
	}
	return appendText(doc, cell)
}

func appendList(doc []byte, items []string) []byte {
	doc = append(doc, '[')
	for i, text := range items {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = appendText(doc, text)
	}
	return append(doc, ']')
}

// The fields of a line are those of an entry, a case or a profile. The first of these that a line has says which it is.
const (
	entryField   = "event_state"
	caseField    = "case_id"
	profileField = "pii_principal_id"
)

var (
	fields      = map[string]map[string]reflect.Kind{} // of each form, by the field that says it
	columnNames []string                               // of all forms, in the order of their declaration
	columnKinds = map[string]reflect.Kind{}            // the same; a time is a text
)

func init() {
	for _, form := range []struct {
		field string
		typ   reflect.Type
	}{
		{entryField, reflect.TypeFor[consentstore.Entry]()},
		{profileField, reflect.TypeFor[consentstore.Profile]()},
		{caseField, reflect.TypeFor[consentstore.Case]()},
	} {
		fields[form.field] = map[string]reflect.Kind{}
		for i := range form.typ.NumField() {
			f := form.typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			kind := f.Type.Kind()
			if kind == reflect.Struct {
				kind = reflect.String
			}
			fields[form.field][name] = kind
			if columnKinds[name] == reflect.Invalid {
				columnKinds[name] = kind
				columnNames = append(columnNames, name)
			}
		}
	}
}

// parseItem reads one line and checks it as the store does.
func parseItem(doc []byte, line int) (item, error) {
	i := item{line: line}
	form, err := formOf(doc)
	if err != nil {
		return i, &lineError{line, err.Error()}
	}
	switch form {
	case entryField:
		i.entry = new(consentstore.Entry)
		err = json.Unmarshal(doc, i.entry)
	case caseField:
		i.c = new(consentstore.Case)
		err = json.Unmarshal(doc, i.c)
	default:
		i.profile = new(consentstore.Profile)
		err = json.Unmarshal(doc, i.profile)
	}
	if err != nil {
		return i, &lineError{line, typeReason(err)}
	}
	if name := consentstore.FirstMoment(doc); name != "" {
		return i, &lineError{line, name + " is the first moment of the year 1: leave it out where there is none"}
	}
	b := batch([]item{i})
	var wrong *consentstore.CheckError
	if errors.As(b.Check(), &wrong) {
		return i, &lineError{line, wrong.Why}
	}
	return i, nil
}

// formOf says what an object is, and refuses what another reader of the same line could take for something else.
func formOf(doc []byte) (string, error) {
	if !json.Valid(doc) || doc[0] != '{' {
		return "", errors.New("it is no JSON object")
	}
	if !utf8.Valid(doc) {
		return "", errors.New("it is not in UTF-8")
	}
	names := map[string]bool{}
	var err error
	gjson.ParseBytes(doc).ForEach(func(key, value gjson.Result) bool {
		switch {
		case columnKinds[key.Str] == reflect.Invalid:
			err = errors.New("it has a field that none of the kinds of lines has")
		case names[key.Str]:
			err = fmt.Errorf("%s stands there twice", key.Str)
		case strings.ContainsRune(value.String(), utf8.RuneError):
			err = fmt.Errorf("%s is not in UTF-8", key.Str) // half a surrogate pair, too
		}
		names[key.Str] = true
		return err == nil
	})
	if err != nil {
		return "", err
	}
	for _, form := range []string{entryField, caseField, profileField} {
		if !names[form] {
			continue
		}
		for name := range names {
			if fields[form][name] == reflect.Invalid {
				return "", fmt.Errorf("%s does not belong to a line with %s", name, form)
			}
		}
		if len(names) == 1 && form == profileField {
			return "", fmt.Errorf("it has nothing but %s", profileField) // an entry without its event, not a profile to be emptied
		}
		return form, nil
	}
	return "", fmt.Errorf("it has neither %s, %s nor %s", entryField, caseField, profileField)
}

// typeReason says what is wrong with a value, and not what it is.
func typeReason(err error) string {
	var wrong *json.UnmarshalTypeError
	var moment *time.ParseError
	switch {
	case errors.As(err, &moment):
		return "a time is written as in RFC 3339: 2026-11-22T09:30:00Z"
	case errors.As(err, &wrong):
		return wrong.Field + " is not of its type"
	default:
		return "a field is not of its type"
	}
}
