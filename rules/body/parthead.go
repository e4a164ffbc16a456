package body

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"
)

// partHead is what a part's headers say. Places are in the window.
type partHead struct {
	end       int // of the headers
	name      [2]int
	fileName  [2]int
	file      bool   // there is a fileName
	mediaType string // "" where none is given
}

// partHead reads the headers of a part at [start, end) of the window, and drops those that say nothing.
func (w *JSON) partHead(start, end int) (partHead, error) {
	head := partHead{}
	disposed, typed, encoded := 0, 0, 0
	for at := start; at < end; {
		line := w.held[at:end]
		line = line[:bytes.Index(line, []byte(crlf))]
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) || !isLine(value) || bytes.Contains(line, w.boundary) {
			return head, w.unreadable(at, "reading a header of a part")
		}
		ok = true
		switch strings.ToLower(string(name)) {
		case "content-disposition":
			disposed++
			ok = head.disposition(value, at+len(name)+1)
		case "content-type":
			typed++
			head.mediaType, ok = w.mediaType(string(value))
		case "content-transfer-encoding": // RFC 7578 §4.7: nobody sends others, and few read them
			encoded++
			switch strings.ToLower(strings.TrimSpace(string(value))) {
			case "7bit", "8bit", "binary":
			default:
				ok = false
			}
		default: // RFC 7578 §4.8: it must be ignored, so nobody misses it
			w.drop(at, len(line)+len(crlf))
			end -= len(line) + len(crlf)
			continue
		}
		if !ok {
			return head, w.unreadable(at, "reading a header of a part")
		}
		at += len(line) + len(crlf)
	}
	if disposed != 1 || typed > 1 || encoded > 1 {
		return head, w.unreadable(start, "reading the headers of a part that has one twice, or no name")
	}
	head.end = end
	return head, nil
}

// mediaType reads a Content-Type. Its one parameter says what we read anyway: UTF-8.
func (w *JSON) mediaType(value string) (string, bool) {
	mediaType, params, err := mime.ParseMediaType(value)
	if err != nil || len(w.scope.Detect(nil, []byte(value), 0)) > 0 {
		return "", false
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		return mediaType, true
	}
	for name, v := range params {
		if name != "charset" || !strings.EqualFold(v, "utf-8") && !strings.EqualFold(v, "us-ascii") {
			return "", false
		}
	}
	return mediaType, true
}

// disposition reads the value of a Content-Disposition, which starts at offset at of the window: form-data with a name and
// perhaps a filename, each once. RFC 7578 §4.2 forbids filename*, and of backslashes and encoded words one reader makes
// another name than the next.
func (head *partHead) disposition(value []byte, at int) bool {
	kind, _, _ := bytes.Cut(value, []byte(";"))
	if !strings.EqualFold(string(bytes.TrimSpace(kind)), "form-data") {
		return false
	}
	named := false
	for i := len(kind); i < len(value); {
		i = blankEnd(value, i+1)
		name, after, ok := bytes.Cut(value[i:], []byte("="))
		length, next := paramLength(after)
		if !ok || length < 0 {
			return false
		}
		start := i + len(name) + 1
		i = start + next
		if after[0] == '"' {
			start++
		}
		text, place := value[start:start+length], [2]int{at + start, at + start + length}
		switch strings.ToLower(string(name)) {
		case "name":
			if named || !isPlainName(text) {
				return false
			}
			head.name, named = place, true
		case "filename":
			if head.file || bytes.Contains(text, []byte("=?")) {
				return false
			}
			head.fileName, head.file = place, true
		default:
			return false
		}
		if i = blankEnd(value, i); i < len(value) && value[i] != ';' {
			return false
		}
	}
	return named
}

// blankEnd returns where the blanks at i end.
func blankEnd(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

// paramLength returns how long the value is that a parameter starts with, without its quotes, and where it ends; -1 if
// it is none.
func paramLength(s []byte) (length, end int) {
	if len(s) == 0 || s[0] != '"' {
		n := 0
		for n < len(s) && isTokenByte(s[n]) {
			n++
		}
		if n == 0 {
			return -1, 0
		}
		return n, n
	}
	n := bytes.IndexAny(s[1:], `"\`)
	if n < 0 || s[1+n] == '\\' {
		return -1, 0
	}
	return n, n + 2
}

// isPlainName reports whether a part's name is one name to all readers. Browsers write quotes and line ends as escapes and
// leave other percent signs alone (HTML §4.10.22.8); some readers undo all of them, and RFC 2047's words.
func isPlainName(s []byte) bool {
	for i := range s {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			switch strings.ToUpper(string(s[i : i+3])) {
			case "%22", "%0D", "%0A":
			default:
				return false
			}
		}
	}
	return !bytes.Contains(s, []byte("=?"))
}

// isLine reports whether a header's value is one line of text.
func isLine(s []byte) bool {
	for _, c := range s {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(s)
}

func isToken(s []byte) bool {
	for _, c := range s {
		if !isTokenByte(c) {
			return false
		}
	}
	return len(s) > 0
}

// isTokenByte reports whether RFC 9110 §5.6.2 lets c stand in a token.
func isTokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && !bytes.ContainsRune([]byte(`"(),/:;<=>?@[\]{}`), rune(c))
}
