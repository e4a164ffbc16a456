package minimize

import (
	"bytes"
	_ "embed" // the API's description
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// apiError is a refusal of the API: a fixed text, never what was asked for.
type apiError struct {
	status int
	detail string
}

func (e *apiError) Error() string { return e.detail }

var (
	errNoResource  = &apiError{http.StatusNotFound, "there is no such resource; openapi.json describes those there are"}
	errNoCase      = &apiError{http.StatusNotFound, "there is no such case"}
	errMethod      = &apiError{http.StatusMethodNotAllowed, "this resource has other methods; the Allow header names them"}
	errAnonymous   = &apiError{http.StatusUnauthorized, "say who you are: the request carries no token"}
	errForbidden   = &apiError{http.StatusForbidden, "only the data subject, a guardian, and a role that manages consents may do this"}
	errManage      = &apiError{http.StatusForbidden, "only a role that manages consents may do this"}
	errQuery       = &apiError{http.StatusBadRequest, "the query has something other than one recipient"}
	errType        = &apiError{http.StatusUnsupportedMediaType, "a change comes as one Content-Type: application/json"}
	errLength      = &apiError{http.StatusRequestEntityTooLarge, "the body is longer than 64 KiB"}
	errBody        = &apiError{http.StatusBadRequest, "the body is no JSON object with the members that openapi.json describes, each once"}
	errLevel       = &apiError{http.StatusBadRequest, "event_type is not one of bundled, general, explicit, separate, written"}
	errPurpose     = &apiError{http.StatusBadRequest, "the rules know no such purpose"}
	errRecipient   = &apiError{http.StatusBadRequest, "the rules know no such recipient"}
	errCategory    = &apiError{http.StatusBadRequest, "pii_type names no category, or one that the rules do not know; leave it out for all"}
	errPolicy      = &apiError{http.StatusBadRequest, "policy_version is no version that has been in force"}
	errGivenBy     = &apiError{http.StatusBadRequest, "given_by does not say who gave the consent: self or guardian, and what follows from the caller where it is one of them"}
	errKind        = &apiError{http.StatusBadRequest, "no rule asks for a case of this kind"}
	errRole        = &apiError{http.StatusBadRequest, "roles names one that the rules do not know"}
	errNothing     = &apiError{http.StatusBadRequest, "the profile says nothing: it replaces the one before, so say what holds"}
	errGuardian    = &apiError{http.StatusConflict, "a guardian gave this consent: it has to be withdrawn before somebody else gives one"}
	errDeleted     = &apiError{http.StatusConflict, "the data subject is deleted, which is for good"}
	errTooMany     = &apiError{http.StatusConflict, "there are too many records of this data subject: withdraw or object to what is there"}
	errConflict    = &apiError{http.StatusConflict, "this contradicts what is stored"}
	errNotAudited  = &apiError{http.StatusServiceUnavailable, errUnaudited.Detail}
	errUnavailable = &apiError{http.StatusServiceUnavailable, "the consent store cannot answer now; repeat the request, which does no harm"}
)

//go:embed openapi.json
var openAPI []byte

// describe needs no caller: it says nothing of anybody.
func (c *call) describe() (any, error) { return json.RawMessage(openAPI), nil }

// succeed answers with a document, or with nothing.
func (c *call) succeed(w http.ResponseWriter, document any) error {
	c.head(w.Header())
	if document == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

func (c *call) head(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set(decisionHeader, c.decision)
}

// fail answers with a problem document. What is no refusal of our own came from the store.
func (c *call) fail(w http.ResponseWriter, err error) error {
	refusal, ok := errors.AsType[*apiError](err)
	wrong, malformed := errors.AsType[*consentstore.CheckError](err)
	switch {
	case ok:
	case malformed:
		refusal = &apiError{http.StatusBadRequest, wrong.Why} // which field it is and why, never the value
	case errors.Is(err, consentstore.ErrGuardian):
		refusal = errGuardian
	case errors.Is(err, consentstore.ErrTooMany):
		refusal = errTooMany
	case errors.Is(err, consentstore.ErrConflict):
		refusal = errConflict
	default:
		refusal = errUnavailable
		c.h.logger.Warn("the consent store did not answer", zap.String("decision", c.decision), zap.Error(err))
	}
	switch refusal.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", bearerChallenge(c.denied))
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	return problem(w, c.decision, refusal.status, refusal.detail, nil)
}

// recipient is the query's only parameter.
func (c *call) recipient() (string, error) {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	names := query["recipient"]
	if err != nil || len(query) > 1 || len(query) == 1 && (len(names) != 1 || names[0] == "") {
		return "", errQuery
	}
	return strings.Join(names, ""), nil
}

// maxChange is how long a body is at most.
const maxChange = 64 << 10

// body reads a change: strictly, so that nobody means one thing and the store understands another. Where a change says
// nothing the body may be missing. Pages of other sites cannot send one unasked: browsers ask before a PUT or a DELETE
// (https://fetch.spec.whatwg.org/#cors-safelisted-method), and get no leave from OPTIONS.
func (c *call) body(to any, needed bool) error {
	start := time.Now()
	data, err := io.ReadAll(io.LimitReader(c.r.Body, maxChange+1))
	c.deadline = c.deadline.Add(time.Since(start)) // a slow client takes nothing of the store's time
	switch {
	case err != nil:
		return errBody
	case len(data) > maxChange:
		return errLength
	case !c.isJSON() && (len(data) > 0 || len(c.r.Header["Content-Type"]) > 0):
		return errType
	case len(data) == 0 && !needed:
		return nil
	case !isStrict(data):
		return errBody
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(to) != nil {
		return misfit(data, to)
	}
	if name := consentstore.FirstMoment(data); name != "" {
		return &apiError{http.StatusBadRequest, name + " is the first moment of the year 1; leave it out where there is none"}
	}
	return nil
}

// misfit names the first member of ours whose value is not of its type. Others may be anything, and are not repeated.
func misfit(data []byte, to any) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return errBody
	}
	for field := range reflect.TypeOf(to).Elem().Fields() {
		name := field.Tag.Get("json")
		value, given := members[name]
		if given && json.Unmarshal(value, reflect.New(field.Type).Interface()) != nil {
			return &apiError{http.StatusBadRequest, name + " is no " + typeName(field.Type)}
		}
	}
	return errBody
}

// typeName is a type in the words of openapi.json.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		return "time as in RFC 3339, such as 2026-12-31T23:59:59Z"
	case reflect.Slice:
		return "list of strings"
	case reflect.Int:
		return "whole number"
	default:
		return t.Kind().String() // bool, string
	}
}

// isStrict reports whether it is one JSON object in UTF-8 whose members are there once each, are not null, and have names as
// they are described: encoding/json takes the last of two, EVENT_TYPE for event_type, and null for nothing said.
func isStrict(data []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') || !utf8.Valid(data) {
		return false
	}
	names := make(map[string]bool)
	for decoder.More() {
		var value json.RawMessage
		token, err := decoder.Token()
		name, _ := token.(string)
		if err != nil || decoder.Decode(&value) != nil || string(value) == "null" {
			return false
		}
		if names[name] || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return false
		}
		names[name] = true
	}
	_, err := decoder.Token()
	_, end := decoder.Token()
	return err == nil && end == io.EOF
}

func (c *call) isJSON() bool {
	values := c.r.Header["Content-Type"]
	if len(values) != 1 {
		return false
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	charset, given := params["charset"]
	return err == nil && mediaType == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}
