package minimize

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules/body"
)

// Opaque is a list of media types that pass unread.
type Opaque struct {
	// Types are media types like text/html, or a whole tree like image/*.
	Types []string `json:"types,omitempty"`

	// Reason says why these bodies need no reading. It is for whoever reads the configuration later.
	Reason string `json:"reason,omitempty"`
}

type opaquePattern struct {
	tree string // "image/" of image/*; "" where the whole type is named
	name string
}

func parseOpaque(lists []Opaque) ([]opaquePattern, error) {
	var patterns []opaquePattern
	for _, list := range lists {
		if strings.TrimSpace(list.Reason) == "" {
			return nil, errors.New("opaque: a reason is needed: `opaque image/* \"product pictures\"`")
		}
		if len(list.Types) == 0 {
			return nil, errors.New("opaque: a media type is needed: `opaque image/* \"product pictures\"`")
		}
		for _, t := range list.Types {
			p, err := parseOpaqueType(strings.ToLower(t))
			if err != nil {
				return nil, fmt.Errorf("opaque %s: %w", t, err)
			}
			patterns = append(patterns, p)
		}
	}
	return patterns, nil
}

func parseOpaqueType(t string) (opaquePattern, error) {
	if body.IsJSON(t) {
		return opaquePattern{}, errors.New("JSON is judged and cannot pass unread")
	}
	tree, sub, ok := strings.Cut(t, "/")
	if !ok || tree == "" || tree == "*" || sub == "" || sub != "*" && strings.Contains(sub, "*") {
		return opaquePattern{}, errors.New("want a media type like text/html or a tree like image/*")
	}
	if sub == "*" {
		return opaquePattern{tree: tree + "/"}, nil
	}
	return opaquePattern{name: t}, nil
}

// kind says how a body is treated.
type kind uint8

const (
	kindRefused kind = iota
	kindJSON
	kindOpaque
)

// kindOf reads the media type of a response; opaque says which types the route lets pass unread. One that is missing, given
// twice or malformed is no type, because recipients disagree about what it is.
func kindOf(header http.Header, opaque []opaquePattern) kind {
	values := header["Content-Type"]
	if len(values) != 1 {
		return kindRefused
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return kindRefused
	}
	if body.IsJSON(mediaType) {
		if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
			return kindRefused
		}
		return kindJSON
	}
	if passesUnread(mediaType, opaque) {
		return kindOpaque
	}
	return kindRefused
}

// passesUnread reports whether bodies of this type pass as they are.
func passesUnread(mediaType string, opaque []opaquePattern) bool {
	return slices.ContainsFunc(opaque, func(p opaquePattern) bool {
		return p.name == mediaType || p.tree != "" && strings.HasPrefix(mediaType, p.tree)
	})
}
