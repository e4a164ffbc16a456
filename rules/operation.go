package rules

import "strings"

// matches reports whether the operation names this request. HEAD is judged as the GET whose header it shows.
func (o Operation) matches(method, path string) bool {
	if method == "HEAD" {
		method = "GET"
	}
	if o.Method != method && o.Method != "*" {
		return false
	}
	pattern := o.Path
	for {
		want, patternRest, _ := cutStep(pattern)
		if want == "**" {
			return true
		}
		have, rest, more := cutStep(path)
		if !more {
			return pattern == ""
		}
		if pattern == "" || want != "*" && want != have {
			return false
		}
		pattern, path = patternRest, rest
	}
}

// cutStep takes the first step off "/a/b": "a", "/b". ok is false for "".
func cutStep(path string) (step, rest string, ok bool) {
	if path == "" {
		return "", "", false
	}
	path = strings.TrimPrefix(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:], true
	}
	return path, "", true
}

// overlaps reports whether some request matches both.
func (o Operation) overlaps(p Operation) bool {
	if o.Method != p.Method && o.Method != "*" && p.Method != "*" {
		return false
	}
	a, b := o.Path, p.Path
	for {
		x, restA, moreA := cutStep(a)
		y, restB, moreB := cutStep(b)
		switch {
		case x == "**" || y == "**":
			return true
		case !moreA || !moreB:
			return moreA == moreB
		case x != "*" && y != "*" && x != y:
			return false
		}
		a, b = restA, restB
	}
}

// holdsFor reports whether the document's parts hold for a request. Without operations they hold for all.
func (d *Document) holdsFor(method, path string) bool {
	for _, o := range d.Operations {
		if o.matches(method, path) {
			return true
		}
	}
	return len(d.Operations) == 0
}

// meets reports whether some request is in both documents' operations.
func (d *Document) meets(e *Document) bool {
	if len(d.Operations) == 0 || len(e.Operations) == 0 {
		return true
	}
	for _, o := range d.Operations {
		for _, p := range e.Operations {
			if o.overlaps(p) {
				return true
			}
		}
	}
	return false
}

func (o Operation) String() string { return o.Method + " " + o.Path }

// Operations are those that the documents name, in their order.
func (r *Ruleset) Operations() []Operation {
	var all []Operation
	for _, d := range r.documents {
		all = append(all, d.Operations...)
	}
	return all
}

// Operation returns the pattern of the documents' operations that a request matches, or "" where none names it.
func (r *Ruleset) Operation(method, path string) string {
	for _, d := range r.documents {
		for _, o := range d.Operations {
			if o.matches(method, path) {
				return o.String()
			}
		}
	}
	return ""
}
