// Package packs holds the rule documents that are shipped inside the binary.
package packs

import (
	"embed"
	"strings"
)

//go:embed *.yaml
var files embed.FS

const basePack = "base"

// Base is the document of the base categories, with the names that commonly stand for them. It holds everywhere.
func Base() []byte {
	data, _ := Read(basePack)
	return data
}

// Read returns the document of a pack.
func Read(name string) (data []byte, ok bool) {
	data, err := files.ReadFile(name + ".yaml")
	return data, err == nil
}

// Names are the packs that a configuration may name, in order.
func Names() []string {
	var names []string
	entries, _ := files.ReadDir(".") // it is inside the binary
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); name != basePack {
			names = append(names, name)
		}
	}
	return names
}
