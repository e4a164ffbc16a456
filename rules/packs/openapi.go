package packs

// Classification is a word of the OpenAPI extension x-data-classification, in our categories and grades.
type Classification struct {
	Word, Means string
}

// Categories are the words for `category` in the registry of OpenAPI extensions
// (https://spec.openapis.org/registry/extension/x-data-classification), and what is taken for them where the field's own
// name says nothing that is at least as harmful: `email` as PII is contact.email, `nickname` as PII is person.
//
// A credential may be a password or a token; it is taken for what no route hands out. Where a route hands out tokens, the
// field says auth.token, which is ours.
var Categories = []Classification{
	{"PII", "person"},
	{"financial", "financial"},
	{"government-id", "identity"},
	{"health", "health"},
	{"secret", "auth.secret"},
	{"credential", "auth.secret"},
	{"contact", "contact"},
	{"other", "other"},
}

// Sensitivities are its words for `sensitivity`, and the grades that a field has at least.
var Sensitivities = []Classification{
	{"public", "open"},
	{"internal", "general"},
	{"confidential", "personal"},
	{"restricted", "sensitive"},
}
