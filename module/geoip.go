package minimize

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/caddy-minimize/minimize/rules"
)

// geoIP is a database of the countries that addresses are in, read again when its file changes.
type geoIP struct {
	watched
	name string
	db   atomic.Pointer[maxminddb.Reader]
}

// openGeoIP reads a database. nil: none is configured.
func openGeoIP(name string) (*geoIP, error) {
	if name == "" {
		return nil, nil
	}
	g := &geoIP{name: name}
	state, err := g.state()
	if err == nil {
		err = g.read()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the database of countries: %w", err)
	}
	g.seen, g.taken = state, state
	return g, nil
}

// read takes the file as it is. It is read whole: one that is cut short while it is mapped into memory would end the process.
func (g *geoIP) read() error {
	data, err := os.ReadFile(g.name)
	if err != nil {
		return err
	}
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("%s is not in the MaxMind format: %w", g.name, err)
	}
	for result := range db.Networks() {
		if countryOf(result) != "" {
			g.db.Store(db)
			return nil
		}
	}
	return fmt.Errorf("%s says of no address in which country it is: want a database like GeoLite2-Country", g.name)
}

// state tells two files apart without reading them: they have many megabytes.
func (g *geoIP) state() (string, error) {
	info, err := os.Stat(g.name)
	if err != nil {
		return "error " + err.Error(), err
	}
	return fmt.Sprint(info.Size(), " ", info.ModTime().UnixNano()), nil
}

// refresh reads a changed file. What does not load leaves the last good database, and is returned once.
func (g *geoIP) refresh() (taken bool, err error) {
	state, err := g.state()
	if !g.due(state) {
		return false, nil
	}
	if err == nil {
		err = g.read()
	}
	g.loaded(state, err)
	return err == nil, err
}

// built is when the database was made.
func (g *geoIP) built() time.Time { return g.db.Load().Metadata.BuildTime() }

// country is where an address is; "": the database does not know.
func (g *geoIP) country(addr netip.Addr) string {
	return countryOf(g.db.Load().Lookup(addr.Unmap().WithZone("")))
}

// countryOf reads where an address is used. Where its owner registered it says nothing of that, so `registered_country`
// does not count; and an anycast address is in many countries at once.
func countryOf(result maxminddb.Result) string {
	var code string
	var anycast bool
	if err := errors.Join(result.DecodePath(&code, "country", "iso_code"), result.DecodePath(&anycast, "traits", "is_anycast")); err != nil {
		return ""
	}
	if anycast || !rules.IsCountry(code) {
		return ""
	}
	return code
}

// misplaced reports whether a recipient that the register has in this country is elsewhere, as far as the address that was
// dialled tells. Nobody knows where it is: elsewhere. An address inside is where the register says that writes it.
func (g *geoIP) misplaced(set *rules.Ruleset, registered string, addr netip.Addr) bool {
	if g == nil || registered == "" {
		return false
	}
	found := g.country(addr)
	if found == "" {
		return !isInside(addr)
	}
	return !set.Within(registered, found)
}

// contradicts reports whether a caller is elsewhere than it claims, as far as its address tells: in another country, unless
// both are at home, or nobody knows where. An address inside says nothing.
func (g *geoIP) contradicts(set *rules.Ruleset, claimed string, addr netip.Addr) bool {
	if g == nil || claimed == "" {
		return false
	}
	if !addr.IsValid() {
		return true
	}
	switch found := g.country(addr); {
	case found == "":
		return !isInside(addr)
	case found == claimed:
		return false
	default:
		return !set.Within(set.Home(), found) || !set.Within(set.Home(), claimed)
	}
}
