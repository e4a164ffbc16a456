package rules

import _ "embed"

// Schema is the JSON Schema (2020-12) of a rule document, for editors. It says the form; Parse and Compile say more. An
// editor with a YAML language server takes it from a document's first line:
//
//	# yaml-language-server: $schema=schema.json
//
//go:embed schema.json
var Schema []byte
