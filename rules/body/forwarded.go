package body

import (
	"strings"
)

// forwarded judges a Forwarded header (RFC 7239): the nodes in it like addresses of X-Forwarded-For, the rest by detectors.
// Its grammar is not a form's, so nothing of it is read as one.
func (h *Head) forwarded(value string) (string, bool, error) {
	var elements []string
	for _, element := range splitQuoted(value, ',') {
		var pairs []string
		for _, pair := range splitQuoted(element, ';') {
			kept, stays, err := h.forwardedPair(pair)
			if err != nil {
				return "", false, err
			}
			if stays {
				pairs = append(pairs, kept)
			}
		}
		if len(pairs) > 0 {
			elements = append(elements, strings.Join(pairs, ";"))
		}
	}
	out := strings.Join(elements, ",")
	if !strings.HasPrefix(value, " ") {
		out = strings.TrimLeft(out, " ") // it stood behind what is gone
	}
	return out, len(elements) > 0, nil
}

func (h *Head) forwardedPair(pair string) (string, bool, error) {
	name, node, _ := strings.Cut(pair, "=")
	quoted := len(node) > 1 && node[0] == '"' && node[len(node)-1] == '"'
	inner := node
	if quoted {
		inner = node[1 : len(node)-1]
	}
	switch strings.ToLower(strings.Trim(name, " \t")) {
	case "for", "by":
	default:
		return h.Text("", pair)
	}
	bare := strings.HasPrefix(inner, "[") && strings.HasSuffix(inner, "]") // an address of IPv6 without a port
	if bare {
		inner = inner[1 : len(inner)-1]
	}
	out, stays, err := h.Text("forwarded", inner)
	if !stays || err != nil || out == inner {
		return pair, stays, err
	}
	if bare {
		out = "[" + out + "]"
	}
	return name + `="` + strings.NewReplacer(`"`, "", `\`, "").Replace(out) + `"`, true, nil
}

// splitQuoted splits at separators that stand in no quoted string (RFC 9110 §5.6.4).
func splitQuoted(s string, separator byte) []string {
	var parts []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == separator && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}
