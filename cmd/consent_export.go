package cmd

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// exportAll writes what the store holds: of each data subject the profile, the whole history of the consents, and the cases.
// It returns how many data subjects there are.
func exportAll(ctx context.Context, store consentstore.Store, out io.Writer, format string, p *progress) (int, error) {
	buffered := bufio.NewWriter(out)
	write := ndjsonLine(buffered)
	flush := buffered.Flush
	if format == formatCSV {
		rows := csv.NewWriter(buffered)
		write = csvRow(rows)
		flush = func() error { rows.Flush(); return errors.Join(rows.Error(), buffered.Flush()) }
		if err := rows.Write(columnNames); err != nil {
			return 0, err
		}
	}
	n := 0
	err := store.Export(ctx, "", func(s *consentstore.Subject) error {
		n++
		p.at(n)
		return exportSubject(ctx, store, s, write)
	})
	if err != nil {
		return n, fmt.Errorf("exporting data subject %d: %w", n, err)
	}
	return n, flush()
}

func exportSubject(ctx context.Context, store consentstore.Store, s *consentstore.Subject, write func(any) error) error {
	if hasProfile(s) {
		if err := write(s.Profile); err != nil {
			return err
		}
	}
	history, err := store.History(ctx, s.Subject)
	if err != nil {
		return err
	}
	for _, e := range history {
		if err := write(e); err != nil {
			return err
		}
	}
	for _, c := range s.Cases {
		if err := write(c); err != nil {
			return err
		}
	}
	return nil
}

// hasProfile reports whether more is known than that there is somebody.
func hasProfile(s *consentstore.Subject) bool {
	return s.Born != "" || s.Minor || !s.Ended.IsZero() || len(s.Guardians) > 0 || s.Policy != 0
}

func ndjsonLine(out io.Writer) func(any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode
}

// csvRow writes an item in the columns of all kinds of items.
func csvRow(out *csv.Writer) func(any) error {
	cells := make([]string, len(columnNames))
	return func(v any) error {
		doc, err := json.Marshal(v)
		if err != nil {
			return err
		}
		clear(cells)
		gjson.ParseBytes(doc).ForEach(func(name, value gjson.Result) bool {
			cell := value.String()
			if columnKinds[name.Str] == reflect.Slice {
				cell, err = listCell(value.Array())
			}
			cells[slices.Index(columnNames, name.Str)] = cell
			return err == nil
		})
		if err != nil {
			return err
		}
		return out.Write(cells)
	}
}

func listCell(items []gjson.Result) (string, error) {
	var texts []string
	for _, item := range items {
		if strings.Contains(item.Str, listSeparator) {
			return "", fmt.Errorf("a list holds an id with %q in it, which CSV cannot say: use --format %s", listSeparator, formatNDJSON)
		}
		texts = append(texts, item.Str)
	}
	return strings.Join(texts, listSeparator), nil
}
