package rules

import (
	"slices"
	"strings"
)

// zones are the names that stand for several countries in every document. EEA: Agreement on the European Economic Area, the
// 27 EU member states with Iceland, Liechtenstein and Norway.
var zones = map[string][]string{
	"EEA": {
		"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV",
		"MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
	},
}

// Zone is a name of a document's own for several countries.
type Zone struct {
	Pos     Pos
	Name    string
	Members []string // countries, without those of zones twice; sorted
}

// IsPlace reports whether this can be a country or a zone.
func IsPlace(s string) bool { return IsCountry(s) || isZoneName(s) && len(s) <= 64 }

// isZoneName reports whether this can be a zone's name. It is longer than any country's code, so that a code gone wrong, such
// as UK, is never taken for a zone.
func isZoneName(s string) bool {
	return len(s) > 2 && 'A' <= s[0] && s[0] <= 'Z' && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// membersOf are the countries of a zone; nil: it is none.
func (r *Ruleset) membersOf(zone string) []string {
	if own := r.zones[zone]; own != nil {
		return own
	}
	return zones[zone]
}

// countriesOf are the countries that a name stands for; nil: it stands for none.
func (r *Ruleset) countriesOf(name string) []string {
	if IsCountry(name) {
		return []string{name}
	}
	return r.membersOf(name)
}

// Places are the countries and zones that the documents name, with the countries of these zones.
func (r *Ruleset) Places() []string {
	var places []string
	add := func(name string) {
		if name != "" {
			places = append(append(places, name), r.countriesOf(name)...)
		}
	}
	add(r.home)
	for _, entry := range r.register {
		add(entry.Country)
	}
	for zone := range r.zones {
		add(zone)
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// Within reports whether a country or zone lies in another one. What is unknown does not.
func (r *Ruleset) Within(place, name string) bool {
	if place == name {
		return name != ""
	}
	outer, inner := r.membersOf(place), r.membersOf(name)
	if inner == nil {
		return slices.Contains(outer, name)
	}
	return !slices.ContainsFunc(inner, func(c string) bool { return c != place && !slices.Contains(outer, c) })
}

// compileZones puts the documents' zones together, and finds names that are none.
func (c *compiler) compileZones() {
	first := map[string]Zone{}
	for _, d := range c.documents {
		for _, z := range d.Zones {
			if other, twice := first[z.Name]; twice && !slices.Equal(other.Members, z.Members) {
				c.errorf(z.Pos, "zone %s holds other countries at %s: documents that stand together need one meaning of a name", z.Name, other.Pos)
				continue
			}
			first[z.Name], c.zones[z.Name] = z, z.Members
		}
	}
	for _, d := range c.documents {
		for _, w := range d.Places {
			if c.countriesOf(w.Name) == nil {
				c.errorf(w.Pos, "`%s` is no country of ISO 3166-1 and no zone: declare it under `zones`%s", shorten(w.Name), suggest(w.Name, c.zoneNames()))
			}
		}
	}
}

func (c *compiler) zoneNames() []string {
	names := []string{"EEA"}
	for name := range c.zones {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
