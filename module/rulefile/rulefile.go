// Package rulefile reads rule documents from where they are written: files, and the packs inside the binary.
package rulefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/module/openapi"
	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/packs"
)

// packPrefix is how a pack is named where a file could be: pack:gdpr.
const packPrefix = "pack:"

// IsPack reports whether a name is that of a pack, and no path.
func IsPack(name string) bool { return strings.HasPrefix(name, packPrefix) }

// Expand returns the files and packs that patterns name, each once.
func Expand(patterns []string) ([]string, error) {
	var names []string
	for _, pattern := range patterns {
		if IsPack(pattern) {
			names = append(names, pattern)
			continue
		}
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("reading the pattern of rule documents %q: %w", pattern, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no rule document is named %q", pattern)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Read returns the text of a file or a pack.
func Read(name string) ([]byte, error) {
	pack, ok := strings.CutPrefix(name, packPrefix)
	if !ok {
		return os.ReadFile(name)
	}
	data, ok := packs.Read(pack)
	if !ok {
		return nil, fmt.Errorf("no pack is named %q; there are %s", pack, strings.Join(packs.Names(), ", "))
	}
	return data, nil
}

// Parse reads a document: rules, or an OpenAPI document whose fields are annotated. All errors come at once, as rules.Errors.
func Parse(name string, data []byte) (*rules.Document, error) {
	if !openapi.Is(data) {
		return rules.Parse(name, data)
	}
	extended, err := Extended(name, data)
	if err != nil {
		return nil, err
	}
	return openapi.Parse(openapi.Text{File: name, Data: data}, extended)
}

// File is the text of a document.
type File struct {
	Name string
	Data []byte
}

// ReadAll reads the files and packs that Expand returned.
func ReadAll(names []string) ([]File, error) {
	var files []File
	for _, name := range names {
		data, err := Read(name)
		if err != nil {
			return nil, fmt.Errorf("reading a rule document: %w", err)
		}
		files = append(files, File{name, data})
	}
	return files, nil
}

// Load parses documents that can stand beside each other. What is wrong in all of them comes at once, as rules.Errors.
func Load(files []File) ([]*rules.Document, error) {
	var docs []*rules.Document
	var errs rules.Errors
	byName := map[string]*rules.Document{}
	for _, file := range files {
		doc, err := Parse(file.Name, file.Data)
		if found, ok := errors.AsType[rules.Errors](err); ok {
			errs = append(errs, found...)
			continue
		}
		if err != nil {
			return nil, err
		}
		if first := byName[doc.Name]; first != nil {
			errs = append(errs, &rules.Error{Pos: doc.Pos, Message: fmt.Sprintf(
				"a second document is named %q (the first is %s); rename one of the files", doc.Name, first.Pos.File)})
		}
		byName[doc.Name] = doc
		docs = append(docs, doc)
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return docs, nil
}

// Extended reads the document that an overlay extends. Of any other text it is empty.
func Extended(name string, data []byte) (openapi.Text, error) {
	path, err := openapi.Extends(openapi.Text{File: name, Data: data})
	if err != nil || path == "" {
		return openapi.Text{}, err
	}
	// A root, so that no link in it leads to what the operator has not put there.
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return openapi.Text{}, fmt.Errorf("reading what %s extends: %w", name, err)
	}
	defer root.Close()
	data, err = root.ReadFile(path)
	if err != nil {
		return openapi.Text{}, fmt.Errorf("reading what %s extends: %w", name, err)
	}
	return openapi.Text{File: filepath.Join(filepath.Dir(name), path), Data: data}, nil
}
