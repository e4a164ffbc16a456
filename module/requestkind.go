package minimize

import (
	"cmp"
	"mime"
	"net/http"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// requestKind is how a request's body is read.
type requestKind struct {
	mediaType string
	boundary  string                      // of a multipart body
	own       string                      // that it gets instead; "": none
	foreign   bool                        // of a type that no rewriter reads
	unread    bool                        // it passes as it is, as the route says
	signed    bool                        // by what stands outside of it
	passes    func(mediaType string) bool // which files in a multipart body go unread; nil: none
}

// kindOfRequest reads the media type of a request. ok is false where its body cannot be judged.
func kindOfRequest(header http.Header) (k requestKind, ok bool) {
	values := header["Content-Type"]
	if len(values) != 1 {
		return k, false
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return k, false
	}
	k = requestKind{mediaType: mediaType, boundary: params["boundary"]}
	k.foreign = !body.IsJSON(mediaType) && mediaType != "application/x-www-form-urlencoded" && mediaType != "multipart/form-data"
	charset, given := params["charset"]
	return k, !k.foreign && (!given || strings.EqualFold(charset, "utf-8"))
}

// coined reports whether the media type may be a word of the client's own: of JSON, and nobody else knows it.
func (k requestKind) coined() bool { return body.IsJSON(k.mediaType) && !body.IsKnownJSON(k.mediaType) }

// header is the media type as it is sent: no parameter but what a reader needs.
func (k requestKind) header() []string {
	if k.mediaType == "multipart/form-data" {
		return []string{mime.FormatMediaType(k.mediaType, map[string]string{"boundary": cmp.Or(k.own, k.boundary)})}
	}
	return []string{k.mediaType}
}

// rewriter returns what judges a body of this kind.
func (k requestKind) rewriter(j *rules.Judge, l body.Limits, sink body.Sink) (*body.JSON, error) {
	l.Signed = k.signed
	switch {
	case body.IsJSON(k.mediaType):
		return body.NewJSON(j, l, sink), nil
	case k.mediaType == "multipart/form-data":
		w, err := body.NewMultipart(j, l, sink, k.boundary, k.passes)
		if err == nil && k.own != "" {
			w.SetBoundary(k.own)
		}
		return w, err
	}
	return body.NewForm(j, l, sink), nil
}
