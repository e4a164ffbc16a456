package minimize

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// attesting are headers about a message as it is, each by the only way in which it may be written: any other could say
// anything.
var attesting = map[string]*regexp.Regexp{
	"Content-Digest":  regexp.MustCompile(`^` + listOf(structuredDigest) + `$`),                                        // RFC 9530
	"Repr-Digest":     regexp.MustCompile(`^` + listOf(structuredDigest) + `$`),                                        // RFC 9530
	"Digest":          regexp.MustCompile(`(?i)^` + listOf(`sha-256=`+sum256+`|sha-512=`+sum512+`|md5=`+md5Sum) + `$`), // RFC 3230
	"Content-Md5":     regexp.MustCompile(`^` + md5Sum + `$`),                                                          // RFC 1864
	"Signature":       regexp.MustCompile(`^` + listOf(label+`=:[A-Za-z0-9+/]+={0,2}:`) + `$`),                         // RFC 9421 section 4.2
	"Signature-Input": regexp.MustCompile(`^` + listOf(label+`=\((`+covered+`( `+covered+`)*)?\)(`+about+`)*`) + `$`),  // RFC 9421 section 4.1
}

const (
	md5Sum = `[A-Za-z0-9+/]{22}==`
	sum256 = `[A-Za-z0-9+/]{43}=`
	sum512 = `[A-Za-z0-9+/]{86}==`

	structuredDigest = `sha-256=:` + sum256 + `:|sha-512=:` + sum512 + `:`

	// Structured fields: RFC 9651 sections 3.1.2 and 3.3.3.
	label  = `[a-z*][a-z0-9_.*-]{0,31}`
	quoted = `"[ !#-\[\]-~]*"`

	covered = `"@?[a-z0-9-]{1,64}"(;(sf|bs|tr|req|(key|name)=` + quoted + `))*`
	about   = `;((created|expires)=[0-9]{1,10}|(nonce|keyid|tag)=` + quoted + `|alg="[a-z0-9-]{1,24}")`
)

func listOf(member string) string { return `(` + member + `)([ \t]*,[ \t]*(` + member + `))*` }

var (
	sums  = regexp.MustCompile(`=:[A-Za-z0-9+/=]*:`)
	words = regexp.MustCompile(quoted + `|` + label + `=\(`)
)

// attests reports whether a header of these is what it ought to be, and nothing that may not pass is written into it. A
// digest is of a body.
func (s *headerSieve) attests(r *http.Request, name, value string) bool {
	digest := slices.Contains(digests, name)
	switch {
	case digest && r.ContentLength == 0, !attesting[name].MatchString(value), s.hides(value, 0):
		return false
	case digest:
		return true
	case name == "Signature":
		value = sums.ReplaceAllString(value, "=(")
	}
	return !slices.ContainsFunc(words.FindAllString(value, -1), s.speaks)
}

// speaks reports whether a word that a client chose tells what may not pass. What is quoted may be the name of a header.
func (s *headerSieve) speaks(word string) bool {
	if word[0] == '"' {
		return s.holds(word, 0, true)
	}
	meaning := s.scope.Name([]byte(strings.TrimSuffix(word, "=(")))
	return s.named(&meaning)
}
