package minimize

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A document is explained value by value, each with its place. Long names around many values would make gigabytes of a small
// one.
const (
	mostTriedValues = 20_000
	mostTriedPlaces = 8 << 20 // bytes of all places together
)

// triedAtOnce bounds how many documents are explained at the same time.
var triedAtOnce = make(chan struct{}, 2)

// tooMuch says that a well-formed document has too much in it to be shown.
func tooMuch(document string) bool {
	s := sizer{Decoder: json.NewDecoder(strings.NewReader(document))}
	s.UseNumber()
	s.value(0)
	return s.over()
}

type sizer struct {
	*json.Decoder
	values, places int
}

func (s *sizer) over() bool { return s.values > mostTriedValues || s.places > mostTriedPlaces }

// value counts the value that comes, whose place has so many bytes, and what is in it.
func (s *sizer) value(place int) {
	s.values, s.places = s.values+1, s.places+place
	token, _ := s.Token()
	bracket, ok := token.(json.Delim)
	if !ok {
		return
	}
	for n := 0; !s.over() && s.More(); n++ {
		step := strconv.Itoa(n)
		if bracket == '{' {
			name, _ := s.Token()
			step, _ = name.(string)
		}
		s.value(place + 1 + len(step))
	}
	s.Token() // its end
}
