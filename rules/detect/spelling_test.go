package detect

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestOpenHidesNothing holds that a business code, which is open, never covers a number that is not.
func TestOpenHidesNothing(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"4111111111111111 12/28", "card_number=4111111111111111"},
		{"4111 1111 1111 1111 12/28", "card_number=4111 1111 1111 1111"},
		{"13802524130 6340817", "phone=13802524130"},
		{"9135 0100 M000 100Y43", ""},
		{"9113802524130634081", ""},
	} {
		if got := found(c.text, 0); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestSpellings holds how people and programs really write them.
func TestSpellings(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"(138)0013-8000", "phone=(138)0013-8000"},
		{"(138) 00138000", "phone=(138) 00138000"},
		{"（138）0013 8000", "phone=138）0013 8000"},
		{"138-0013 8000", "phone=138-0013 8000"},
		{"86 138-0013 8000", "phone=86 138-0013 8000"},
		{"13800138000-801", "phone=13800138000"},
		{"138-0013-8000-801", "phone=138-0013-8000"},
		{"20261122-13800138000", "phone=13800138000"},
		{"2026-11-22-13800138000.jpg", "phone=13800138000"},
		{"IMG_20261122_13800138000.jpg", "phone=13800138000"},
		{"13800138000-13912345678", "phone=13800138000 phone=13912345678"},
		{"13800138000,13912345678|13612345678_13712345678", "phone=13800138000 phone=13912345678 phone=13612345678 phone=13712345678"},
		{"13800138000.0", "phone=13800138000"},
		{"dev-1-490154203237518", "imei=490154203237518"},
		{"uid13800138000", "phone=13800138000"},
		{"ID310104199003072515", "national_id.cn=310104199003072515"},
		{"ID11010519491231002X", "national_id.cn=11010519491231002X"},
		{"u310104199003072515", "national_id.cn=310104199003072515"},
		{"%B4111111111111111^ZHANG/WEI^2812101?", "card_number=4111111111111111^ZHANG/WEI^2812101"},
		{";4111111111111111=28121010000000000000?", "card_number=4111111111111111=28121010000000000000"},
		{"4111111111111111-1228", "card_number=4111111111111111"},
		{"4111-1111-1111-1111-1228", "card_number=4111-1111-1111-1111"},
		{"4111_1111_1111_1111", "card_number=4111_1111_1111_1111"},
		{"4111,1111,1111,1111", "card_number=4111,1111,1111,1111"},
		{"4111|1111|1111|1111", "card_number=4111|1111|1111|1111"},
		{"138_0013_8000", "phone=138_0013_8000"},
		{"138\t0013\t8000", "phone=138\t0013\t8000"},
		{"zhang.wei%40example.com", "email=zhang.wei%40example.com"},
		{"reach me at 13800138000", "phone=13800138000"},

		{"1\u00003800138\u0001000", "phone=1\u00003800138\u0001000"},
		{"13800138000\u000013912345678", "phone=13800138000 phone=13912345678"},
		{"13800138000\u200b13912345678", "phone=13800138000 phone=13912345678"},
		{"138" + strings.Repeat("\u200b", 500) + "00138000", "phone=138" + strings.Repeat("\u200b", 500) + "00138000"},
		{"138\u31640013\u28008000", "phone=138\u31640013\u28008000"},
		{"138\u20280013\u20288000", "phone=138\u20280013\u20288000"},
		{"13800138000\u202813912345678", "phone=13800138000 phone=13912345678"},
		{"1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣", "phone=1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0"},
		{"¹³⁸⁰⁰¹³⁸⁰⁰⁰", "phone=¹³⁸⁰⁰¹³⁸⁰⁰⁰"},
		{"₁₃₈₀₀₁₃₈₀₀₀", "phone=₁₃₈₀₀₁₃₈₀₀₀"},
		{"①③⑧⓪⓪①③⑧⓪⓪⓪", "phone=①③⑧⓪⓪①③⑧⓪⓪⓪"},
		{"❶❸❽⓿⓿❶❸❽⓿⓿⓿", "phone=❶❸❽⓿⓿❶❸❽⓿⓿⓿"},
		{"𝟷𝟹𝟾𝟶𝟶𝟷𝟹𝟾𝟶𝟶𝟶", "phone=𝟷𝟹𝟾𝟶𝟶𝟷𝟹𝟾𝟶𝟶𝟶"},
		{"𝟣𝟥𝟪𝟢𝟢𝟣𝟥𝟪𝟢𝟢𝟢", "phone=𝟣𝟥𝟪𝟢𝟢𝟣𝟥𝟪𝟢𝟢𝟢"},
		{"ＤＥ８９３７０４００４４０５３２０１３０００", "iban=ＤＥ８９３７０４００４４０５３２０１３０００"},
		{"DE\u200b89\u200b370400440532013000", "iban=DE\u200b89\u200b370400440532013000"},
		{"D\u200bE89370400440532013000", "iban=D\u200bE89370400440532013000"},
		{"DE89.3704.0044.0532.0130.00", "iban=DE89.3704.0044.0532.0130.00"},
		{"anna＠example.de", "email=anna＠example.de"},
		{"anna@example．de", "email=anna@example．de"},
		{"an\u00adna@exam\u00adple.de", "email=an\u00adna@exam\u00adple.de"},
		{"ａｎｎａ＠ｅｘａｍｐｌｅ．ｄｅ", "email=ａｎｎａ＠ｅｘａｍｐｌｅ．ｄｅ"},

		{"13,800,138,000", ""}, // an amount
		{"13,25,36,47,580", ""},
		{"13.25|36.47|580", ""},
		{"2026-11-22-15-30-45-12345", ""},
		{"2022-1118-1501-2345-67", ""},
		{"13800138000.00 CNY", ""},
		{"SF15012345678", ""},
		{"112-1234567-1234567", ""},
		{"50% off", ""},
		{"a%40b", ""},
	} {
		if got := found(c.text, 0); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestDigitValues holds the values of all of Unicode's decimal digits: each script's come by tens.
func TestDigitValues(t *testing.T) {
	for _, r16 := range unicode.Nd.R16 {
		for r := rune(r16.Lo); r <= rune(r16.Hi); r++ {
			if got := digitValue(r); got != byte(r-rune(r16.Lo))%10 {
				t.Errorf("%c is %d", r, got)
			}
		}
	}
	for _, r32 := range unicode.Nd.R32 {
		for r := rune(r32.Lo); r <= rune(r32.Hi); r++ {
			if got := digitValue(r); got != byte(r-rune(r32.Lo))%10 {
				t.Errorf("%c is %d", r, got)
			}
		}
	}
}

// TestDigitClasses holds that the scanner and the prefilter stop at whatever is a digit.
func TestDigitClasses(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		_, circled := raised[r]
		if s := string(r); (circled || unicode.IsDigit(r)) && (classes[s[0]] != classWide || !mayBeWide([]byte(s))) {
			t.Errorf("%c is overlooked", r)
		}
	}
}

// TestSwitchedOff holds that a name which says that a number is nobody's silences only what has no strong check.
func TestSwitchedOff(t *testing.T) {
	for _, name := range []string{"timestamp", "sku", "created_at", "count", "version", "isbn", "barcode", "order_no", "amount"} {
		c := ContextOf(Fold([]byte(name)))
		for _, text := range []string{"310104199003072515", "anna@example.de", "DE89370400440532013000", "89860012345678901238", "+8613800138000"} {
			if got := found(text, c); !strings.HasSuffix(got, "="+text) {
				t.Errorf("%s under %s: %q", text, name, got)
			}
		}
		if got := found("15012345678", c); got != "" {
			t.Errorf("a number under %s: %q", name, got)
		}
		if k, ok := All.Number([]byte("310104199003072515"), c); !ok || k != nationalIDCN {
			t.Errorf("the number of a resident under %s is none", name)
		}
	}
}

func TestLookAlikes(t *testing.T) {
	for _, name := range []string{"ɴᴀᴍᴇ", "nᥲme", "ոame", "пame", "namҽ", "🅝🅐🅜🅔", "🇳🇦🇲🇪", "ꓠꓮꓟꓰ", "ᴺᴬᴹᴱ", "ⓝⓐⓜⓔ", "𝓷𝓪𝓶𝓮"} {
		if got := Fold([]byte(name)); got.String() != "name" {
			t.Errorf("%s is folded to %q", name, got)
		}
	}
	var names Names
	names.Add("phone", 1)
	for _, name := range []string{"phone" + strings.Repeat("_x", 70), "phone" + strings.Repeat("_x", 500), strings.Repeat("x_", 500) + "phone"} {
		if got := names.Find(nil, Fold([]byte(name)), nil); !slices.Equal(got, []uint32{1}) {
			t.Errorf("%.20s… is %v", name, got)
		}
	}
}
