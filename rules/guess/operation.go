package guess

import (
	"slices"
	"strings"
	"unicode"
)

// Operation writes a request as a rule document does. A step that is no word, or stands behind one for people, is data.
func Operation(method, path string) string {
	steps := strings.Split(strings.Trim(path, "/"), "/")
	before := ""
	for i, step := range steps {
		isWord := len(step) <= 40 && !strings.ContainsFunc(step, func(r rune) bool { return !isPathLetter(r) })
		isVersion := len(step) <= 3 && strings.HasPrefix(step, "v")
		if !isWord && !isVersion || slices.ContainsFunc(people, func(p string) bool { return isPlural(before, p) }) {
			steps[i] = "*"
		}
		before = step
	}
	return strings.ToUpper(method) + " /" + strings.Join(steps, "/")
}

func isPathLetter(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsLetter(r) || r == '-' || r == '_' || r == '.')
}
