package rules

// zones are the names that stand for several countries. EEA: Agreement on the European Economic Area, the 27 EU member
// states with Iceland, Liechtenstein and Norway.
var zones = map[string][]string{
	"EEA": {
		"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV",
		"MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
	},
}

// inside reports whether a country is home or lies in it. An unknown country does not.
func inside(home, country string) bool {
	if country == "" {
		return false
	}
	for _, c := range zones[home] {
		if c == country {
			return true
		}
	}
	return home == country
}
