package cmd

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-minimize/minimize/rules"
)

// caddyLine is a line of a Caddyfile. What it becomes in JSON has no position, so that findings look for it here.
type caddyLine struct {
	pos    rules.Pos
	words  []string
	around []string // the addresses of its site, and the line that begins its outermost block
	block  []string // all words of that block
	global bool     // it stands in the global options
}

type caddyLines struct {
	file  string
	lines []caddyLine
	taken map[string]int // how many findings looked for these words already
}

// linesOf reads a Caddyfile with all that it imports. JSON has no lines: everything is at its beginning.
func (l *lint) linesOf(file string, text []byte) *caddyLines {
	c := &caddyLines{file: relative(file), taken: map[string]int{}}
	blocks, err := caddyfile.Parse(file, text)
	if err != nil {
		return c
	}
	l.remember(c.file, text)
	for _, b := range blocks {
		var keys []string
		for _, key := range b.Keys {
			keys = append(keys, key.Text)
		}
		for _, s := range b.Segments {
			c.add(l, keys, s)
		}
	}
	return c
}

func (c *caddyLines) add(l *lint, keys []string, s caddyfile.Segment) {
	var block, head []string
	for _, token := range s {
		if block = append(block, token.Text); token.Line == s[0].Line && token.File == s[0].File {
			head = append(head, token.Text)
		}
	}
	for i, token := range s {
		if i == 0 || token.Line != s[i-1].Line || token.File != s[i-1].File {
			c.lines = append(c.lines, caddyLine{pos: c.posOf(l, token), around: slices.Concat(keys, head), block: block, global: len(keys) == 0})
		}
		last := &c.lines[len(c.lines)-1]
		last.words = append(last.words, token.Text)
	}
}

// posOf finds the column, which tokens do not have.
func (c *caddyLines) posOf(l *lint, t caddyfile.Token) rules.Pos {
	file := relative(t.File)
	if l.texts[file] == nil {
		if text, err := os.ReadFile(t.File); err == nil {
			l.remember(file, text)
		}
	}
	pos := rules.Pos{File: file, Line: t.Line, Column: 1}
	if lines := l.texts[file]; t.Line <= len(lines) {
		pos.Column = max(1, 1+strings.Index(lines[t.Line-1], t.Text))
	}
	return pos
}

func (c *caddyLines) start() rules.Pos { return rules.Pos{File: c.file, Line: 1, Column: 1} }

// at returns the next line that begins with the first word and has the others. The nth finding that looks for the same
// words takes the nth such line.
func (c *caddyLines) at(words ...string) rules.Pos {
	return c.next(strings.Join(words, " "), func(line *caddyLine) bool {
		return line.words[0] == words[0] && !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(line.words, w) })
	})
}

func (c *caddyLines) next(key string, fits func(*caddyLine) bool) rules.Pos {
	var found []rules.Pos
	for i := range c.lines {
		if fits(&c.lines[i]) {
			found = append(found, c.lines[i].pos)
		}
	}
	if len(found) == 0 {
		return c.start()
	}
	n := c.taken[key]
	c.taken[key]++
	return found[min(n, len(found)-1)]
}

// log returns the next `log` of the global options, or of a site, whose block names no format of ours.
func (c *caddyLines) log(global bool) rules.Pos {
	return c.next(fmt.Sprint("log", global), func(line *caddyLine) bool {
		return line.words[0] == "log" && line.global == global && !slices.Contains(line.block, "minimize")
	})
}

// route returns the line of a directive that has, or stands among, most words of a route's description.
func (c *caddyLines) route(route string, directives []string) rules.Pos {
	best, pos := -1, c.start()
	for _, line := range c.lines {
		if !slices.Contains(directives, line.words[0]) {
			continue
		}
		score := 0 // of equals the one that no minimize stands beside
		for _, word := range slices.Concat(line.words[1:], line.around) {
			word = strings.TrimPrefix(strings.TrimPrefix(word, "http://"), "https://")
			if word != "" && strings.Contains(route, word) {
				score += 2
			}
		}
		if !slices.Contains(line.block, "minimize") {
			score++
		}
		if slices.Contains(line.around, "handle_errors") != strings.Contains(route, "handle_errors") {
			score = 0
		}
		if score > best {
			best, pos = score, line.pos
		}
	}
	return pos
}
