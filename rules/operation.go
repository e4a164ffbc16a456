package rules

import "strings"

// operationTree finds the operations that a request matches, step by step: an API has hundreds of them.
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
			root.add(operationAt{&d.Operations[k], i}, d.Operations[k].Path)
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

// each calls found with the operations that a request matches. HEAD is judged as the GET whose header it shows.
func (t *operationTree) each(method, path string, found func(operationAt)) {
	if t == nil {
		return
	}
	if method == "HEAD" {
		method = "GET"
	}
	matching := func(all []operationAt) {
		for _, o := range all {
			if o.Method == method || o.Method == "*" {
				found(o)
			}
		}
	}
	matching(t.rest)
	step, rest, more := cutStep(path)
	if !more {
		matching(t.ends)
		return
	}
	t.steps[step].each(method, rest, found)
	t.any.each(method, rest, found)
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
	r.operations.each(method, path, func(o operationAt) {
		if first == nil || o.document < first.document {
			first = &o
		}
	})
	if first == nil {
		return ""
	}
	return first.String()
}
