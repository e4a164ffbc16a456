package minimize

import "strings"

// canaryShape is a value that a detector recognizes. It is nobody's.
type canaryShape struct {
	under string // the name that it stands under, where it is not enough; "": any
	word  string // before it, where its shape alone is not enough
	value string
	short bool // so short that it could stand anywhere: it is looked for with what stands around it
}

// text is the shape in the fewest words.
func (s canaryShape) text() string { return strings.TrimSpace(s.word + " " + s.value) }

// isNumber reports whether the shape can be a JSON number.
func (s canaryShape) isNumber() bool {
	return s.word == "" && s.value[0] != '0' && strings.Trim(s.value, "0123456789") == ""
}

// canaryShapes are one of each detector, by its name. Check digits are right.
var canaryShapes = map[string]canaryShape{
	"national_id.cn":    {value: "330106198509143749"},
	"iccid":             {value: "8986007319460285132"},
	"imsi":              {value: "460017394602851"},
	"imei":              {value: "359274106831520"},
	"imeisv":            {word: "imeisv", value: "3592741068315201"},
	"card_number":       {value: "4539781206649375"},
	"phone":             {value: "13940718265"},
	"ssn.us":            {word: "SSN", value: "536-27-4918"},
	"passport":          {word: "passport", value: "E39407182"},
	"card_security":     {word: "cvv", value: "739", short: true},
	"card_expiry":       {word: "expiry", value: "0731", short: true},
	"verification_code": {word: "otp", value: "739462", short: true},
	"mac":               {value: "3c:22:fb:73:94:6d"},
	"meid":              {word: "meid", value: "A1000073946D28"},
	"ip":                {value: "114.80.173.229"},
	"iban":              {value: "DE71500105175930284716"},
	"email":             {value: "wilma.canary@example.de"},
	"codice_fiscale":    {value: "VRDGLI92E47F205Y"},
	"jwt":               {value: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c3ludGhldGlj"},
	"password_hash":     {value: "$2a$10$Vb7NqYk3mRw5TzXc1LpGdeH8sJf0AuKi2Eo4ByQx6MtDhCnWrSa9l"},
	"coordinate":        {under: neutral + "Geo", value: "31.204917,121.473852"},
	"uscc":              {value: "91330106MA27W4K93M"},
}
