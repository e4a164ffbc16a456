package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// printDemo prints the table, and what to open and to ask unless the demo ends with it.
func printDemo(out io.Writer, d *demo, seen *demoSeen, once bool) {
	p := newPainter(out)
	fmt.Fprintf(out, "\n%s\n%s\n\n", p.paint(bold, "One order, six callers"),
		p.paint(faint, "The shop hands out everything to everybody. The gateway lets through what each caller may have."))
	p.table(seen)
	fmt.Fprintf(out, "\n%s as a download: %s, reason %s, rule %s\n", d.callers[demoRefusedCaller].Name,
		p.paint(red, fmt.Sprintf("refused with %d", seen.Refused.Status)), seen.Refused.Reason, seen.Refused.Rule)
	if once {
		return
	}
	fmt.Fprintf(out, "\n%s\n  %s   %s\n  %s\n  %s   %s\n", p.paint(bold, "Open"), p.paint(blue, d.console()), p.paint(faint, "# what the security team sees"), p.paint(blue, d.url+"/"),
		p.paint(blue, d.url+"/metrics"), p.paint(faint, "# of the demo's own traffic, too; `minimize dashboards` shows it in Grafana"))
	fmt.Fprintf(out, "\n%s\n", p.paint(bold, "Ask yourself"))
	for i, line := range d.curls() {
		fmt.Fprintf(out, "  %s   %s\n", line, p.paint(faint, "# "+d.callers[i].Who))
	}
	fmt.Fprintf(out, "  %s   %s\n", d.curl(demoExport, d.callers[demoRefusedCaller]), p.paint(faint, "# is refused"))
	fmt.Fprintf(out, "\n%s\n  %s   %s\n  %s   %s\n", p.paint(bold, "Take a consent back"),
		d.withdrawCurl(), p.paint(faint, "# and ask as marketing again"), d.agreeCurl(), p.paint(faint, "# agrees again"))
	fmt.Fprintf(out, "\n%s\n  %s   %s\n  %s   %s\n", p.paint(bold, "Change the rules"),
		filepath.Join(d.dir, "rules.yaml"), p.paint(faint, "# edit and ask again"),
		filepath.Join(d.dir, "audit.jsonl"), p.paint(faint, "# a line for every answer"))
	fmt.Fprintf(out, "\n%s\n", p.paint(faint, "Ctrl-C stops it and removes these files."))
}

// curls are ready-made lines, one for each caller.
func (d *demo) curls() []string {
	lines := make([]string, len(d.callers))
	for i, caller := range d.callers {
		lines[i] = d.curl("/api/orders", caller)
	}
	return lines
}

func (d *demo) curl(path string, caller *demoCaller) string {
	if caller.header == "" {
		return "curl -s " + d.url + path
	}
	return "curl -s -H @" + caller.header + " " + d.url + path
}

// painter writes to a terminal that may have colors and a width.
type painter struct {
	out     io.Writer
	colors  bool
	columns int
}

// The colors, as parameters of ECMA-48's SGR.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
)

// newPainter paints only on a terminal, and not where NO_COLOR asks not to (https://no-color.org).
func newPainter(out io.Writer) *painter {
	p := &painter{out: out, columns: 120}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.colors = os.Getenv("NO_COLOR") == ""
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			p.columns = columns
		}
	}
	return p
}

func (p *painter) paint(color, text string) string {
	if !p.colors {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// table prints a row for each place and a column for each caller, as wide as the terminal lets them be.
func (p *painter) table(seen *demoSeen) {
	const labels = 13
	cell := min(max((p.columns-labels)/len(seen.Callers)-2, 8), 24)
	line := p.paint(bold, pad("", labels))
	for _, caller := range seen.Callers {
		line += "  " + p.paint(bold, pad(caller.Name, cell))
	}
	fmt.Fprintln(p.out, strings.TrimRight(line, " "))
	colors := map[string]string{cellWhole: green, cellChanged: yellow, cellGone: faint}
	for _, row := range seen.Rows {
		line := pad(row.Label, labels)
		for _, c := range row.Cells {
			text := c.Text
			if c.Kind == cellGone {
				text = "·"
			}
			line += "  " + p.paint(colors[c.Kind], pad(text, cell))
		}
		fmt.Fprintln(p.out, strings.TrimRight(line, " "))
	}
}

// pad makes the text so many cells wide, cutting what is too long. A Han character takes two cells (UAX #11).
func pad(text string, cells int) string {
	var b strings.Builder
	used, whole := 0, cellsOf(text) <= cells
	for _, r := range text {
		w := cellsOf(string(r))
		if !whole && used+w > cells-1 {
			b.WriteString("…")
			used++
			break
		}
		b.WriteRune(r)
		used += w
	}
	return b.String() + strings.Repeat(" ", max(cells-used, 0))
}

func cellsOf(text string) int {
	n := 0
	for _, r := range text {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
