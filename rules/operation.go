package rules

import (
	"slices"
	"strings"
)

// operationTree finds the operations that a request matches, step by step: an API has hundreds of them. Its steps are in
// small letters.
type operationTree struct {
	steps map[string]*operationTree
	any   *operationTree // behind `*`
	ends  []operationAt
	rest  []operationAt // that end with `**` here
}

// operationAt is an operation with the row of its document.
type operationAt struct {
	*Operation
	document int
}

func newOperationTree(docs []*Document) *operationTree {
	root := &operationTree{}
	for i, d := range docs {
		for k := range d.Operations {
			o := operationAt{&d.Operations[k], i}
			path := foldPath(o.Path)
			root.add(o, path)
			if bare, ok := strings.CutSuffix(path, ".json"); ok { // what Accept may ask for as well
				root.add(o, bare)
			}
		}
	}
	return root
}

func (t *operationTree) add(o operationAt, path string) {
	step, rest, more := cutStep(path)
	switch {
	case !more:
		t.ends = append(t.ends, o)
		return
	case step == "**":
		t.rest = append(t.rest, o)
		return
	case step == "*":
		if t.any == nil {
			t.any = &operationTree{}
		}
		t.any.add(o, rest)
		return
	case t.steps == nil:
		t.steps = map[string]*operationTree{}
	}
	if t.steps[step] == nil {
		t.steps[step] = &operationTree{}
	}
	t.steps[step].add(o, rest)
}

// each calls found with the operations that a backend may read a request as, and tells whether they name it as it is. Paths
// are compared without regard to case, as Express and IIS do by default, and also without what stands behind a dot of the
// last step: https://guides.rubyonrails.org/routing.html, (.:format), and Spring's suffix patterns.
func (t *operationTree) each(method, path string, found func(o operationAt, named bool)) {
	if len(path) > 1 {
		path = strings.TrimRight(path, "/")
	}
	walk := func(way string) {
		t.walk(way, func(o operationAt) {
			if o.mayBe(method) {
				found(o, o.names(method, path))
			}
		})
	}
	folded := foldPath(path)
	walk(folded)
	last := strings.LastIndexByte(folded, '/') + 1
	for i := len(folded) - 1; i > last; i-- {
		if folded[i] == '.' {
			walk(folded[:i])
		}
	}
}

func (t *operationTree) walk(path string, found func(operationAt)) {
	if t == nil {
		return
	}
	for _, o := range t.rest {
		found(o)
	}
	step, rest, more := cutStep(path)
	if !more {
		for _, o := range t.ends {
			found(o)
		}
		return
	}
	t.steps[step].walk(rest, found)
	t.any.walk(rest, found)
}

// foldPath is the same for paths that differ in their letters' case only.
func foldPath(path string) string {
	if strings.IndexFunc(path, func(r rune) bool { return r >= 'A' && r <= 'Z' || r > '~' }) < 0 {
		return path
	}
	return strings.ToLower(strings.ToUpper(path))
}

// literal are the methods that backends take as they are. A POST says in a form or a query which method it is, `_method`:
// Rack's MethodOverride, Symfony's Request::getMethod and so Laravel, Spring's HiddenHttpMethodFilter. What else there is,
// each backend takes for what it likes.
var literal = []string{"GET", "PUT", "PATCH", "DELETE", ""}

// mayBe reports whether a backend may take a request by this method for one of the operation.
func (o *Operation) mayBe(method string) bool {
	return o.isOf(method) || !slices.Contains(literal, judgedAs(method))
}

// names reports whether the operation's pattern says this method and path.
func (o *Operation) names(method, path string) bool {
	if !o.isOf(method) {
		return false
	}
	pattern := o.Path
	for {
		want, restWant, more := cutStep(pattern)
		step, rest, moreSteps := cutStep(path)
		switch {
		case want == "**":
			return true
		case !more || !moreSteps:
			return more == moreSteps
		case want != "*" && want != step:
			return false
		}
		pattern, path = restWant, rest
	}
}

// isOf reports whether the operation's pattern says this method.
func (o *Operation) isOf(method string) bool { return o.Method == judgedAs(method) || o.Method == "*" }

// judgedAs is the method whose operations count: HEAD is judged as the GET whose header it shows.
func judgedAs(method string) string {
	if method == "HEAD" {
		return "GET"
	}
	return method
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

// Operation returns the pattern of the documents' operations that a request matches, the first of them, or "" where none
// names it.
func (r *Ruleset) Operation(method, path string) string {
	var first *operationAt
	r.operations.each(method, path, func(o operationAt, named bool) {
		if named && (first == nil || o.document < first.document) {
			first = &o
		}
	})
	if first == nil {
		return ""
	}
	return first.String()
}
