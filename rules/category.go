package rules

import "strings"

// Category is a kind of data, dotted: device.imei. A parent contains its children.
type Category string

// None is what `is: none` says: the place holds no personal data, whatever its name or value looks like.
const None Category = "none"

// Contains reports whether d is c or lies below it.
func (c Category) Contains(d Category) bool {
	return strings.HasPrefix(string(d), string(c)) && (len(c) == len(d) || d[len(c)] == '.')
}

// CategoryID is a category's row in a rule set's table. 0 means that nothing is known of the value.
type CategoryID uint16
