// Package packs holds the rule documents that are shipped inside the binary.
package packs

import _ "embed"

//go:embed base.yaml
var base []byte

// Base is the document of the base categories, with the names that commonly stand for them.
func Base() []byte { return base }
