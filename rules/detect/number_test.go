package detect

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct{ literal, want string }{
		{"490154203237518", "imei"},
		{"490154203237518.0", "imei"},
		{"490154203237518.000000000000000000000000000000", "imei"},
		{"4.90154203237518e14", "imei"},
		{"4.90154203237518E+14", "imei"},
		{"4901542032375180e-1", "imei"},
		{"0.490154203237518e15", "imei"},
		{"13800138000", "phone"},
		{"1.3800138e10", "phone"},
		{"13800138e3", "phone"},
		{"6222021000000000017", "card_number"}, // a float64 would make it …016
		{"62220210000000000170e-1", "card_number"},
		{"310104199003072515", "national_id.cn"},
		{"89860012345678901238", "iccid"},
		{"460001234567890", "imsi"},
		{"-13800138000", "phone"},
		{"13800138000.5", "phone"},
		{"-490154203237518", "imei"},
		{"490154203237518.1", "imei"},
		{"-128800.25", ""},
		{"0", ""},
		{"-0", ""},
		{"1e400", ""},
		{"1e-400", ""},
		{"1e99999999999999999999", ""},
		{"0e99999999999999999999", ""},
		{"1700000000", ""},
		{"1700000000000", ""},
		{"1700000000000000", ""},
		{"1523456789012345678", ""},
		{"4006381333931", ""},
		{"20221118153000", ""},
		{"128800", ""},
		{"1288.00", ""},
		{"219099999", ""},
		{strings.Repeat("1", 400), ""},
		{"490154203237518." + strings.Repeat("0", 900), "imei"},
		{"490154203237518." + strings.Repeat("0", 2000), ""}, // refused before it comes here
	} {
		kind, ok := All.Number([]byte(c.literal), 0)
		if got := Detectors[kind].Name; ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%.40s: %s %v, want %s", c.literal, got, ok, c.want)
		}
	}
	if k, ok := All.Number([]byte("31.194836"), ContextOf(Fold([]byte("lat")))); !ok || k != coordinate {
		t.Error("a latitude under its name is none")
	}
}

// TestNumberSpellings writes the same integers in random ways and compares with big.Rat.
func TestNumberSpellings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		digits := strconv.FormatUint(r.Uint64N(1e19), 10)
		literal := respell(r, digits)
		checkInteger(t, literal)
	}
}

// respell moves the decimal point of a number and mends it with an exponent.
func respell(r *rand.Rand, digits string) string {
	point := r.IntN(len(digits) + 1)
	exponent := len(digits) - point + r.IntN(5) - 2
	whole, fraction := digits[:point], digits[point:]+strings.Repeat("0", r.IntN(3))
	if whole == "" || whole[0] == '0' {
		whole = "0"
	}
	literal := whole
	if fraction != "" {
		literal += "." + fraction
	}
	return literal + "e" + strconv.Itoa(exponent)
}

func checkInteger(t *testing.T, literal string) {
	t.Helper()
	var d [maxDigits]byte
	n := integer(&d, []byte(literal))
	got := ""
	for _, v := range d[:n] {
		got += string('0' + rune(v))
	}
	want := ""
	if v, ok := new(big.Rat).SetString(literal); ok {
		// Without its sign and its fraction.
		if whole := new(big.Int).Quo(v.Num().Abs(v.Num()), v.Denom()).String(); whole != "0" && len(whole) <= maxDigits {
			want = whole
		}
	}
	if got != want {
		t.Fatalf("%s is %s, want %s", literal, got, want)
	}
}

func FuzzNumber(f *testing.F) {
	for _, literal := range []string{"0", "-0", "1e3", "1.5e-2", "490154203237518.0", "1e999999999", "10e-1"} {
		f.Add(literal)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		if len(literal) > 200 || !json.Valid([]byte(literal)) || strings.ContainsAny(literal, "\"tfn[{ \t\r\n") {
			return
		}
		if _, exponent, ok := strings.Cut(strings.ToLower(literal), "e"); ok && len(exponent) > 4 {
			var d [maxDigits]byte
			integer(&d, []byte(literal)) // too large for the model
			return
		}
		All.Number([]byte(literal), 0)
		All.Number([]byte(literal), ^Context(0))
		checkInteger(t, literal)
	})
}
