package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// progress is a line that says how far long work has come. It stands on a terminal only.
type progress struct {
	out   *os.File // nil: nobody is looking
	what  string   // is counted
	total int      // 0: not known
	from  int      // where this run began
	start time.Time
	shown time.Time
}

func newProgress(out io.Writer, what string, total, from int) *progress {
	p := &progress{what: what, total: total, from: from, start: time.Now()}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.out = file
	}
	return p
}

// redrawEvery keeps a fast loop from writing more than somebody can read.
const redrawEvery = 100 * time.Millisecond

// at shows that so many are done.
func (p *progress) at(done int) {
	now := time.Now()
	if p.out == nil || now.Sub(p.shown) < redrawEvery {
		return
	}
	p.shown = now
	fmt.Fprint(p.out, "\r"+p.text(done, now.Sub(p.start))+"\x1b[K") // ECMA-48: erase to the end of the line
}

func (p *progress) text(done int, took time.Duration) string {
	rate := float64(done-p.from) / max(took.Seconds(), 0.001)
	speed := fmt.Sprintf("%s/s", humanize.Comma(int64(rate)))
	if p.total == 0 {
		return fmt.Sprintf("%s %s  %s", humanize.Comma(int64(done)), p.what, speed)
	}
	const width = 30
	full := min(done*width/p.total, width)
	left := time.Duration(float64(p.total-done) / max(rate, 0.001) * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("[%s%s] %3d%%  %s of %s %s  %s  %s left", strings.Repeat("█", full), strings.Repeat("·", width-full),
		done*100/p.total, humanize.Comma(int64(done)), humanize.Comma(int64(p.total)), p.what, speed, left)
}

// done takes the line away.
func (p *progress) done() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
