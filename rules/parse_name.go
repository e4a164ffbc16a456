package rules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules/mask"
)

// countries are the officially assigned codes of ISO 3166-1 alpha-2.
const countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"

// IsCountry reports whether s is a country's code in capitals.
func IsCountry(s string) bool {
	return len(s) == 2 && strings.Contains(countries, s) && !strings.Contains(s, " ")
}

func (p *parser) country(n *yaml.Node) string {
	s := p.text(n)
	if s != "" && !IsCountry(s) {
		p.fail(n, "`%s` is no country of ISO 3166-1; write two capitals, such as CN or GB", shorten(s))
	}
	return s
}

// home reads a country or a zone. Another document may declare the zone.
func (p *parser) home(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && isZoneName(n.Value) {
		p.places = append(p.places, Word{p.at(n), n.Value})
		return n.Value
	}
	return p.country(n)
}

// zone reads an entry of `zones`. It may hold the countries of a zone that every document has.
func (p *parser) zone(name, n *yaml.Node) Zone {
	z := Zone{Pos: p.at(name), Name: name.Value}
	switch {
	case zones[z.Name] != nil || IsCountry(z.Name):
		p.fail(name, "`%s` stands for something else already; choose another name", z.Name)
	case !isZoneName(z.Name):
		p.fail(name, "`%s` is no name of a zone; write three or more capitals, such as NORDIC", shorten(z.Name))
	}
	list(p, &z.Members, p.member)(n)
	members := slices.Clone(z.Members)
	for _, m := range z.Members {
		members = append(members, zones[m]...)
	}
	z.Members = slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(members, func(m string) bool { return !IsCountry(m) }))))
	return z
}

func (p *parser) member(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && zones[n.Value] != nil {
		return n.Value
	}
	return p.country(n)
}

// name reads the name of a role, a purpose, a recipient, a rule, a case or a claim. Roles come out of tokens, so colons,
// slashes and such are theirs to use; a space or a comma would be a list gone wrong.
func (p *parser) name(n *yaml.Node) string {
	s := p.text(n)
	if strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) }) {
		p.fail(n, "`%s` is no name; a name has letters, digits and any of _-.:/@ (several names stand in [a, b])", shorten(s))
		return ""
	}
	return s
}

func isNameRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || strings.ContainsRune("_-.:/@", r)
}

func isLetterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func (p *parser) word(n *yaml.Node) Word { return Word{p.at(n), p.name(n)} }

// category reads a category's name: words of small letters, digits and underscores, joined by dots.
func (p *parser) category(n *yaml.Node) Category {
	s := p.text(n)
	for part := range strings.SplitSeq(s, ".") {
		if s != "" && (part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_") != "") {
			p.fail(n, "`%s` is no category; one is written as device.imei, in small letters", shorten(s))
			return ""
		}
	}
	return Category(s)
}

// dataWord reads the name of a category or a grade.
func (p *parser) dataWord(n *yaml.Node) Word {
	w := Word{p.at(n), string(p.category(n))}
	if w.Name == string(None) {
		p.fail(n, "`none` is no data, so there is nothing to do with it")
	}
	return w
}

// mask reads how a category is masked.
func (p *parser) mask(n *yaml.Node) string {
	s := p.text(n)
	if s == "" {
		return ""
	}
	// No mask is as long as what is cut off here, and the error quotes it.
	if _, err := mask.Parse(shorten(s)); err != nil {
		p.fail(n, "%v", err)
	}
	return s
}

// key reads a member's name as a body spells it.
func (p *parser) key(n *yaml.Node) string {
	s := p.text(n)
	if strings.HasPrefix(s, "/") {
		p.fail(n, "`%s` is a selector and belongs under `at`; a key is a name at any depth", shorten(s))
	}
	return s
}

func (p *parser) selector(n *yaml.Node) Selector {
	s, ok := p.scalar(n)
	if !ok {
		return nil
	}
	sel, err := parseSelector(s)
	if err != nil {
		p.fail(n, "`%s`: %v", shorten(s), err)
	}
	return sel
}

// place reads the selector of a record or a field.
func (p *parser) place(n *yaml.Node) Selector {
	if n.Kind == yaml.ScalarNode && n.Value == "/" {
		// RFC 6901: "/" is the member whose name is empty. Whoever writes it means the document, and would declare nothing.
		p.fail(n, "`/` is a member with an empty name; the whole document is `at: \"\"`")
		return nil
	}
	return p.selector(n)
}

// pointer reads a selector without wildcards: one that finds at most one value, which can answer a question.
func (p *parser) pointer(n *yaml.Node) Selector {
	sel := p.selector(n)
	for _, step := range sel {
		if step.Kind != StepName {
			p.fail(n, "a star cannot stand here: this must find one value in the record (a name that is a star is ~2)")
			break
		}
	}
	return sel
}

// pointers reads several of them in one key, each after a space: /status /orderStatus.
func (p *parser) pointers(n *yaml.Node) (list []Selector) {
	for i, s := range strings.Split(n.Value, " /") {
		one := *n
		if one.Value = s; i > 0 {
			one.Value = "/" + s
		}
		list = append(list, p.pointer(&one))
	}
	return list
}

func (p *parser) operation(n *yaml.Node) Operation {
	s := p.text(n)
	if s == "" {
		return Operation{}
	}
	o, err := ParseOperation(s)
	if err != nil {
		p.fail(n, "`%s`: %v", shorten(s), err)
	}
	o.Pos = p.at(n)
	return o
}

// methods are those that an operation can have. Another one would be a slip of the pen more often than one of a backend's own.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "*"}

// ParseOperation reads a method and a path: "GET /api/orders/*". The method may be a star, any.
func ParseOperation(s string) (Operation, error) {
	method, path, ok := strings.Cut(s, " ")
	if !ok {
		return Operation{}, errors.New("an operation is a method and a path: GET /api/orders/*")
	}
	if !slices.Contains(methods, method) {
		return Operation{}, fmt.Errorf("an operation's method is one of %s; HEAD is judged as GET, and any method is *", strings.Join(methods, " "))
	}
	if !strings.HasPrefix(path, "/") {
		return Operation{}, errors.New("an operation's path starts with a slash")
	}
	if strings.ContainsAny(path, "?#; ") {
		return Operation{}, errors.New("an operation's path has no query, fragment, parameter or space")
	}
	if len(path) > 1 && strings.HasSuffix(path, "/") {
		return Operation{}, errors.New("an operation's path ends without a slash: requests are compared without theirs")
	}
	steps := strings.Split(path[1:], "/")
	for i, step := range steps {
		switch last := i == len(steps)-1; {
		case strings.ContainsAny(step, "{}") || strings.HasPrefix(step, ":"):
			return Operation{}, errors.New("a step that differs from request to request is a star: /orders/*, not /orders/{id}")
		case step == "**" && !last:
			return Operation{}, errors.New("`**` stands at the end of an operation's path only")
		case strings.Contains(step, "*") && strings.Trim(step, "*") != "", len(step) > 2 && strings.Trim(step, "*") == "":
			return Operation{}, errors.New("a star is a whole step of a path: /orders/*")
		case step == "" && !last, step == ".", step == "..":
			return Operation{}, errors.New("an operation's path is clean: no empty, `.` or `..` step, which no request has after cleaning")
		}
	}
	return Operation{Method: method, Path: path}, nil
}

// retain reads how long a record is kept: 3y, 6m or 90d.
func (p *parser) retain(n *yaml.Node) string {
	s := p.text(n)
	if s == "" {
		return ""
	}
	i, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || i < 1 || i > 36500 || s[0] == '+' || !strings.ContainsAny(s[len(s)-1:], "ymd") {
		p.fail(n, "`%s` is no time to keep a record; write 3y, 6m or 90d", shorten(s))
	}
	return s
}

// over reads a number of data subjects a day: 50/day.
func (p *parser) over(n *yaml.Node) int {
	count, ok := strings.CutSuffix(p.text(n), "/day")
	i, err := strconv.ParseUint(count, 10, 31)
	if !ok || err != nil || i == 0 {
		p.fail(n, "`over` is a number of data subjects a day, such as 50/day")
	}
	return int(i)
}

// from and until read a day or a time with a zone (RFC 3339). A day is whole and UTC: from is its first instant, until the
// first one after it, so that a period is from <= t < until.
func (p *parser) from(n *yaml.Node) time.Time  { return p.time(n, 0) }
func (p *parser) until(n *yaml.Node) time.Time { return p.time(n, 1) }

func (p *parser) time(n *yaml.Node, days int) time.Time {
	s := p.text(n)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, s)
	if t = t.AddDate(0, 0, days); err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	switch {
	case err == nil && t.IsZero(): // which stands for none: what is over would not be
		p.fail(n, "`%s` is the first moment of the year 1: leave it out where there is none", shorten(s))
	case err != nil:
		p.fail(n, "`%s` is no day such as 2026-12-31, and no time with a zone such as 2026-12-31T18:00:00+01:00", shorten(s))
	}
	return t.UTC()
}
