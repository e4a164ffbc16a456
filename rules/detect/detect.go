// Package detect recognises personal data: by the name it stands under, and by its value.
//
// A name is compared folded: case, separators, camelCase, width, zero-width and look-alike characters make no difference,
// but only whole tokens count. A value is recognised by its shape and its check digits, and where those are not enough, by
// what its name says, or the word before it.
package detect

import "math/bits"

// Kind is a row of Detectors.
type Kind uint8

// Detector recognises a category by its value.
type Detector struct {
	Name     string // as `values:` in a rule document writes it
	Category string // of what it finds

	// For those that are digits, in groups or not. The others have a shape of their own, which the scanner knows.
	alone lengths // how many digits it has
	named lengths // how many it may have where one of about is spoken of
	about Context
	weak  bool // not where the name says that a number is nobody's
}

// The detectors. Order matters: of two that accept the same digits the first one counts. Every valid ICCID is a valid
// card number by its check digit, and one IMSI in ten is a valid IMEI.
const (
	nationalIDCN Kind = iota
	iccid
	imsi
	imei
	imeisv
	cardNumber
	phone
	socialSecurity
	passport
	cardSecurity
	cardExpiry
	verificationCode
	mac
	meid
	ip
	iban
	email
	codiceFiscale
	jwt
	passwordHash
	coordinate
	uscc // open, so all else goes first
	maxKind
)

// Detectors is every detector there is, by its Kind.
var Detectors = []Detector{
	nationalIDCN:     {Name: "national_id.cn", Category: "identity.national_id", alone: only(18), named: only(15), about: aboutIdentity},
	iccid:            {Name: "iccid", Category: "device.iccid", alone: only(19, 20)},
	imsi:             {Name: "imsi", Category: "device.imsi", alone: only(15), named: only(14), about: aboutSIM, weak: true},
	imei:             {Name: "imei", Category: "device.imei", alone: only(15), weak: true},
	imeisv:           {Name: "imeisv", Category: "device.imei", named: only(16), about: aboutDevice},
	cardNumber:       {Name: "card_number", Category: "card.number", alone: only(14, 15, 16, 17, 18, 19), named: only(13), about: aboutCard, weak: true},
	phone:            {Name: "phone", Category: "contact.phone", alone: only(11, 13, 15), named: only(7, 8, 9, 10, 11, 12, 13, 14, 15), about: aboutPhone, weak: true},
	socialSecurity:   {Name: "ssn.us", Category: "identity.social_security", named: only(9), about: aboutSocialSecurity},
	passport:         {Name: "passport", Category: "identity.passport", named: only(7, 8, 9), about: aboutPassport},
	cardSecurity:     {Name: "card_security", Category: "card.security", named: only(3, 4), about: aboutCardSecurity},
	cardExpiry:       {Name: "card_expiry", Category: "card.expiry", named: only(4, 6), about: aboutCardExpiry},
	verificationCode: {Name: "verification_code", Category: "auth.secret", named: only(4, 5, 6, 7, 8), about: aboutCode | aboutSixDigitCode},
	mac:              {Name: "mac", Category: "device.mac", named: only(12), about: aboutMAC},
	meid:             {Name: "meid", Category: "device.meid"},
	ip:               {Name: "ip", Category: "network.ip"},
	iban:             {Name: "iban", Category: "financial.account.iban"},
	email:            {Name: "email", Category: "contact.email"},
	codiceFiscale:    {Name: "codice_fiscale", Category: "identity.tax_id"},
	jwt:              {Name: "jwt", Category: "auth.token"},
	passwordHash:     {Name: "password_hash", Category: "auth.secret"},
	coordinate:       {Name: "coordinate", Category: "location.precise"},
	uscc:             {Name: "uscc", Category: "business.registration", alone: only(18), weak: true},
}

// AllNames returns the names of all detectors.
func AllNames() []string {
	names := make([]string, len(Detectors))
	for k, d := range Detectors {
		names[k] = d.Name
	}
	return names
}

// ParseName returns the detector of this name.
func ParseName(name string) (Kind, bool) {
	for k, d := range Detectors {
		if d.Name == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// Set is a set of detectors.
type Set uint64

// All is every detector.
var All = Set(1)<<len(Detectors) - 1

// Add returns the set with k in it.
func (s Set) Add(k Kind) Set { return s | 1<<k }

// Has reports whether k is in the set.
func (s Set) Has(k Kind) bool { return s&(1<<k) != 0 }

// Hit is a part of a text that a detector recognised. Start and End are byte offsets.
type Hit struct {
	Start, End int
	Kind       Kind
}

// maxDigits is the most that a detector takes: an ICCID.
const maxDigits = 20

// lengths is a set of numbers up to maxDigits.
type lengths uint32

func only(n ...int) (l lengths) {
	for _, i := range n {
		l |= 1 << i
	}
	return l
}

// byLength are the detectors of digits by how many there are: by shape alone, and where a word speaks of it.
var byLength, byLengthNamed = func() (alone, named [maxDigits + 1]Set) {
	for k, d := range Detectors {
		for n := range alone {
			if d.alone>>n&1 != 0 {
				alone[n] = alone[n].Add(Kind(k))
			}
			if d.named>>n&1 != 0 {
				named[n] = named[n].Add(Kind(k))
			}
		}
	}
	return alone, named
}()

// accepts checks what a number of the right length must hold besides. It is no column of Detectors, for a call through one
// would move every number that is looked at to the heap.
func (k Kind) accepts(d []byte, c Context) bool {
	switch k {
	case nationalIDCN:
		return isNationalIDCN(d) || isOldNationalIDCN(d)
	case iccid:
		return isICCID(d, c)
	case imsi:
		return isIMSI(d, c)
	case imei:
		return isIMEI(d, c)
	case cardNumber:
		return isCard(d, c)
	case uscc:
		return isUSCCDigits(d)
	case phone:
		return isPhone(d, c)
	case cardExpiry:
		return isExpiry(d)
	case verificationCode:
		return len(d) == 6 || c&aboutCode != 0
	}
	return true
}

// digits returns the first detector of the set that accepts these digits.
func (s Set) digits(d []byte, c Context) (Kind, bool) {
	rest := byLength[len(d)]
	if c != 0 {
		rest |= byLengthNamed[len(d)]
	}
	for rest &= s; rest != 0; rest &= rest - 1 {
		k := Kind(bits.TrailingZeros64(uint64(rest)))
		row := &Detectors[k]
		spoken := c&row.about != 0
		if !spoken && (row.alone>>len(d)&1 == 0 || row.weak && c&(aboutThing|aboutVersion) != 0) {
			continue
		}
		if k.accepts(d, c) {
			return k, true
		}
	}
	return 0, false
}
