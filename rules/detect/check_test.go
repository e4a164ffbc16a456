package detect

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func digitsOf(s string) []byte {
	d := []byte(s)
	for i := range d {
		d[i] -= '0'
	}
	return d
}

func randomDigits(r *rand.Rand, n int) []byte {
	d := make([]byte, n)
	for i := range d {
		d[i] = byte(r.IntN(10))
	}
	return d
}

// TestCheckDigits holds each check against what its standard promises: one check value in so many fits, and every single
// wrong digit shows.
func TestCheckDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		name   string
		length int
		values int // of the check value
		valid  func([]byte) bool
	}{
		{"Luhn", 15, 10, luhn},
		{"Luhn", 19, 10, luhn},
		{"MOD 11-2", 18, 11, mod11_2},
	} {
		for range 500 {
			d := randomDigits(r, c.length)
			fit := -1
			for v := range c.values {
				if d[c.length-1] = byte(v); c.valid(d) {
					if fit >= 0 {
						t.Fatalf("%s: two check values fit %v", c.name, d)
					}
					fit = v
				}
			}
			if fit < 0 {
				t.Fatalf("%s: no check value fits %v", c.name, d)
			}
			d[c.length-1] = byte(fit)
			at := r.IntN(c.length - 1)
			if d[at] = (d[at] + 1 + byte(r.IntN(9))) % 10; c.valid(d) {
				t.Fatalf("%s: a wrong digit does not show in %v", c.name, d)
			}
		}
	}
}

func TestIBAN(t *testing.T) {
	for _, iban := range []string{"GB82WEST12345698765432", "FR1420041010050500013M02606", "NO9386011117947", "MT84MALT011000012345MTLCAST001S",
		"NL91ABNA0417164300", "CH9300762011623852957", "LV80BANK0000435195001", "AE070331234567890123456", "BR1800360305000010009795493C1"} {
		if got := found(iban, 0); got != "iban="+iban {
			t.Errorf("%s: %q", iban, got)
		}
		if len(iban) != ibanLength(iban[0], iban[1]) {
			t.Errorf("%s is %d long, not %d", iban[:2], len(iban), ibanLength(iban[0], iban[1]))
		}
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct {
		year, month, day int
		want             bool
	}{
		{2024, 2, 29, true}, {2023, 2, 29, false}, {1900, 2, 29, false}, {2000, 2, 29, true}, {1880, 1, 1, true}, {1799, 1, 1, false},
		{2024, 4, 31, false}, {2024, 12, 31, true}, {2024, 13, 1, false}, {2024, 0, 1, false}, {2024, 1, 0, false},
	} {
		if got := isDate(c.year, c.month, c.day); got != c.want {
			t.Errorf("%v: %v", c, got)
		}
	}
}

// TestFalsePositives measures how many numbers that are nobody's are taken for somebody's.
func TestFalsePositives(t *testing.T) {
	const n = 50000
	r := rand.New(rand.NewPCG(7, 8))
	stamp := func(year string, n int) string {
		d := func(from, to int) string {
			v := from + r.IntN(to-from+1)
			return string([]byte{'0' + byte(v/10), '0' + byte(v%10)})
		}
		s := year + d(20, 27) + d(1, 12) + d(1, 28) + d(0, 23) + d(0, 59) + d(0, 59)
		for len(s) < n {
			s += d(0, 99)[1:]
		}
		return s
	}
	random := func(n int) func() string {
		return func() string {
			d := randomDigits(r, n)
			for i := range d {
				d[i] += '0'
			}
			return string(d)
		}
	}
	for _, c := range []struct {
		name string
		make func() string
		most float64 // per cent
	}{
		{"9 digits", random(9), 0},
		{"10 digits", random(10), 0},
		{"13 digits", random(13), 0.1},
		{"15 digits", random(15), 1.2},
		{"16 digits", random(16), 3},
		{"18 digits", random(18), 5}, // three in a hundred are a business code, which is open
		{"19 digits", random(19), 2},
		{"yyyyMMddHHmmss", func() string { return stamp("20", 14) }, 0},
		{"yyyyMMddHHmmss and 4", func() string { return stamp("20", 18) }, 3.5},
		{"yyyyMMddHHmmss and 6", func() string { return stamp("20", 20) }, 0},
		{"yyMMddHHmmss and 4", func() string { return stamp("", 16) }, 0},
		{"snowflake", func() string { return "1" + random(18)() }, 0},
		{"EAN-13 from China", func() string { return "69" + random(11)() }, 0},
		{"epoch in microseconds", func() string { return "17" + random(14)() }, 0},
	} {
		hits, business := 0, 0
		for range n {
			if got := found(c.make(), 0); strings.HasPrefix(got, "uscc") {
				business++
			} else if got != "" {
				hits++
			}
		}
		rate, open := 100*float64(hits)/n, 100*float64(business)/n
		t.Logf("%-24s %.3f %%, and %.3f %% open", c.name, rate, open)
		if rate+open > c.most {
			t.Errorf("%s: %.3f %%, want at most %v", c.name, rate+open, c.most)
		}
	}
}

// TestOrder makes numbers that two detectors accept.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		number := append(digitsOf("8986"), randomDigits(r, 15)...)
		for number[18] = 0; !luhn(number); number[18]++ {
		}
		if kind, ok := All.digits(number, aboutCard); !ok || kind != iccid {
			t.Fatalf("the ICCID %v is %v", number, kind)
		}
		number = append(digitsOf("46001"), randomDigits(r, 10)...)
		for number[14] = 0; !luhn(number); number[14]++ {
		}
		if kind, ok := All.digits(number, aboutDevice); !ok || kind != imsi {
			t.Fatalf("the IMSI %v is %v", number, kind)
		}
	}
}
