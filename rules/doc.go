// Package rules is the domain: what a rule document says, what a disclosure is, and the decision for every value.
//
// It knows no HTTP, no Caddy, no metrics and no clock of its own. The way through it:
//
//	Parse     one YAML document            → *Document
//	Compile   all documents together       → *Ruleset, an immutable snapshot
//	Scope     the documents of one request → *Scope: which place or name holds which category
//	Judge     one disclosure               → *Judge: which category gets which action
//
// Words: a category is a kind of data (device.imei), a grade says how harmful its leak is, a selector names places in
// a document, a disclosure is who asks for what purpose, an action is what happens to a value.
package rules
