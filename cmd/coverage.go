package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/openapi"
	"github.com/caddy-minimize/minimize/module/rulefile"
)

func coverageCommand() *cobra.Command {
	var o coverageOptions
	c := &cobra.Command{
		Use:   "coverage [--rules <file>]... [--samples <file or folder>]... [--json] <OpenAPI document>",
		Short: "Lists the fields of an OpenAPI document that no rule knows",
		Long: `Lists the fields of an OpenAPI document that no rule knows: neither an annotation (x-data-classification), nor a place or a name
in the rule documents, nor a name that the base pack knows. Of an overlay it reads the document that it extends. What only
says yes or no, or one word of a list, is not listed, and neither are variables of paths.

A field that is nobody's is told so: {category: none} in its annotation, or is: none in a rule document.

With samples it also lists the drift: members of real bodies that the document does not have. A sample is a HAR file (what
browsers and proxies export), or NDJSON with a body in each line; of a folder every *.har, *.ndjson and *.jsonl below it counts:

  {"operation": "GET /api/orders/7", "body": {"id": 7, "status": "paid"}}

No value is printed, and no name that looks like one.

Exit codes: 0 every field is known and nothing drifted, 1 there is something to do, 2 the input is broken.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
		Args:          exactlyOne("an OpenAPI document, or the overlay of one"),
	}
	c.Flags().StringArrayVar(&o.rules, "rules", nil, "Rule documents beside it: a file, a pattern or a pack; may be given several times")
	c.Flags().StringArrayVar(&o.samples, "samples", nil, "Bodies to compare with the document: HAR, NDJSON, or a folder of both")
	c.Flags().BoolVar(&o.json, "json", false, "Print the results as one JSON document")
	c.RunE = func(c *cobra.Command, args []string) error {
		return exitWith(c, o.run(c.OutOrStdout(), c.ErrOrStderr(), args[0]))
	}
	return c
}

type coverageOptions struct {
	rules, samples []string
	json           bool
}

// coverageResult is what the command finds.
type coverageResult struct {
	Fields    int              `json:"fields"`
	Uncovered []uncoveredField `json:"uncovered"`
	Bodies    int              `json:"bodies"` // compared
	Strange   int              `json:"bodies_of_no_operation"`
	Drift     []driftedMember  `json:"drift"`
}

// uncoveredField is an openapi.Field.
type uncoveredField struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Operation string `json:"operation"`
	In        string `json:"in"`
	Pointer   string `json:"pointer"`
	Type      string `json:"type,omitempty"`
}

// driftedMember is an openapi.Drift.
type driftedMember struct {
	Operation string `json:"operation"`
	In        string `json:"in"`
	Pointer   string `json:"pointer"`
	Bodies    int    `json:"bodies"`
}

func (o *coverageOptions) run(out, errs io.Writer, file string) int {
	r, err := o.compare(errs, file)
	switch {
	case err != nil:
		return broken(errs, err, "Nothing was compared.")
	case o.json:
		if err := printJSON(out, r); err != nil {
			fmt.Fprintln(errs, err)
			return exitBroken
		}
	default:
		newPainter(out).coverage(r)
	}
	if len(r.Uncovered)+len(r.Drift) > 0 {
		return exitFound
	}
	return exitOK
}

func (o *coverageOptions) compare(errs io.Writer, file string) (*coverageResult, error) {
	spec, err := readSpec(file)
	if err != nil {
		return nil, err
	}
	d, err := spec.Document()
	if err != nil {
		return nil, err
	}
	docs, err := loadDocuments(o.rules)
	if err != nil {
		return nil, err
	}
	compiled, err := compileForNobody(append(docs, d))
	if err != nil {
		return nil, err
	}
	r := &coverageResult{Uncovered: []uncoveredField{}, Drift: []driftedMember{}}
	uncovered, all := spec.Coverage(compiled)
	r.Fields = all
	for _, f := range uncovered {
		r.Uncovered = append(r.Uncovered, uncoveredField(f))
	}
	if len(o.samples) == 0 {
		return r, nil
	}
	drifts := spec.Drifts()
	if err := compareSamples(errs, o.samples, drifts); err != nil {
		return nil, err
	}
	r.Bodies, r.Strange = drifts.Bodies, drifts.Strange
	for _, d := range drifts.List() {
		r.Drift = append(r.Drift, driftedMember(d))
	}
	return r, nil
}

// readSpec reads an OpenAPI document, annotated or not.
func readSpec(file string) (*openapi.Spec, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	if !openapi.Is(data) {
		return nil, fmt.Errorf("reading an OpenAPI document: %s has neither `openapi` nor `overlay` at its top", file)
	}
	extended, err := rulefile.Extended(file, data)
	if err != nil {
		return nil, err
	}
	return openapi.Read(openapi.Text{File: file, Data: data}, extended)
}

func (p *painter) coverage(r *coverageResult) {
	file := ""
	for _, g := range r.Uncovered {
		if g.File != file {
			file = g.File
			fmt.Fprintln(p.out, p.paint(bold, file))
		}
		fmt.Fprintf(p.out, "%6d  %s  %s\n", g.Line, p.paint(yellow, pointerOrRoot(g.Pointer)), strings.TrimSpace(g.Type+" in a "+g.In+" of "+g.Operation))
	}
	if r.Bodies+r.Strange > 0 {
		p.drift(r)
	}
	if len(r.Uncovered) == 0 {
		fmt.Fprintln(p.out, p.paint(green, fmt.Sprintf("All %d fields are known.", r.Fields)))
		return
	}
	fmt.Fprintln(p.out, p.paint(red, fmt.Sprintf("%d of %d fields have no rule.", len(r.Uncovered), r.Fields)))
	fmt.Fprintln(p.out, "Write `x-data-classification: {category: …}` there or in an overlay, or an entry of `fields` in a rule document; `none` is what is nobody's.")
}

func (p *painter) drift(r *coverageResult) {
	for _, d := range r.Drift {
		fmt.Fprintf(p.out, "%s  %s  in a %s of %s  %s\n", p.paint(red, "drift"), p.paint(yellow, d.Pointer), d.In, d.Operation,
			p.paint(faint, fmt.Sprintf("%d of %d bodies", d.Bodies, r.Bodies)))
	}
	fmt.Fprintf(p.out, "%d bodies compared, %d members that the document does not have.", r.Bodies, len(r.Drift))
	if r.Strange > 0 {
		fmt.Fprintf(p.out, " %d bodies are of no operation of it.", r.Strange)
	}
	fmt.Fprintln(p.out)
}

func pointerOrRoot(pointer string) string {
	if pointer == "" {
		return "the whole body"
	}
	return pointer
}
