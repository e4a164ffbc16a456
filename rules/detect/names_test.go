package detect

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	for name, want := range map[string]string{
		"imei":                     "imei",
		"imeiMD5":                  "imei md 5",
		"IDCard":                   "id card",
		"userIDs":                  "user ids",
		"IDs":                      "ids",
		"simSerialNumber":          "sim serial number",
		"address_1":                "address 1",
		"e-mail":                   "e mail",
		"X-Forwarded-For":          "x forwarded for",
		"user[phone]":              "user phone",
		"收件人手机号":                   "收 件 人 手 机 号",
		"mac地址":                    "mac 地 址",
		"ｉｍｅｉ":                     "imei",
		"ＩＭＥＩ２":                    "imei 2",
		"im\u200bei":               "imei",
		"im\u00adei":               "imei",
		"imei\u0000":               "imei",
		"\ufeffimei ":              "imei",
		"i\u0301mei":               "imei",
		"ímei":                     "imei",
		"città":                    "citta",
		"\u0456m\u0435i":           "imei", // Cyrillic і and е
		"\u0406\u041c\u0415\u0406": "imei", // ІМЕІ
		"ρhone":                    "phone",
		"телефон":                  "teлeфoh", // a word in Cyrillic still equals itself
		"phone\u00a0no":            "phone no",
		"no\u0663":                 "no 3",
		"\u3164imei\u3164":         "imei",
		"":                         "",
		"___":                      "",
	} {
		if got := strings.Join(Fold([]byte(name)), " "); got != want {
			t.Errorf("%q is folded to %q, want %q", name, got, want)
		}
	}
	if got := Fold([]byte(strings.Repeat("x_", 5000) + "imei")); len(got) != maxTokens || got[maxTokens-1] != "imei" {
		t.Errorf("of a long name %d tokens stay, the last is %q", len(got), got[len(got)-1])
	}
}

func TestNames(t *testing.T) {
	declared := []string{0: "none", 1: "phone", 2: "phone number", 3: "card", 4: "idCard", 5: "imei", 6: "手机", 7: "收件人", 8: "address",
		9: "history", 10: "cardModel", 11: "sn", 12: "md5", 13: "e-mail", 14: "loans", 15: "loan", 16: "consignee"}
	var names Names
	for id, name := range declared[1:] {
		names.Add(joined(name), uint32(id+1))
	}
	names.Add(joined("..."), 99) // no name
	yields := func(id, behind uint32) bool { return (id == 7 || id == 16) && behind != 7 && behind != 16 }
	for name, want := range map[string][]uint32{
		"phone":                 {1},
		"buyerPhone":            {1},
		"phone_number":          {2, 1},
		"phones":                {1},
		"addresses":             {8},
		"histories":             {9},
		"id_card":               {4, 3},
		"bankIdCardNo":          {4, 3},
		"i_m_e_i":               {5},
		"imeiMD5":               {5, 12},
		"收件人手机号":                {6, 7}, // whose it is comes last
		"consigneePhone":        {1, 16},
		"phoneConsignee":        {16, 1},
		"consignee":             {16},
		"consigneePhoneModel":   {16},
		"consignee收件人":          {7, 16},
		"consignee收件人Phone":     {1, 7, 16},
		"phoneCard":             {1, 3},
		"cardPhone":             {1, 3},
		"email":                 {13},
		"E-Mail":                {13},
		"loans":                 {14},
		"loan":                  {15},
		"phoneModel":            nil,
		"phone2Model":           nil,
		"phoneNumberType":       nil, // no phone either
		"phoneModelPhone":       {1},
		"cardModel":             {10},
		"isPhone":               nil,
		"手机型号":                  nil,
		"cardinality":           nil,
		"discard":               nil,
		"smartphone":            nil,
		"sns":                   nil,
		"":                      nil,
		"phonephonephonephones": nil,
	} {
		if got := names.Find(nil, Fold([]byte(name)), yields); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := names.Find([]uint32{1}, Fold([]byte("phone")), nil); !slices.Equal(got, []uint32{1, 1}) {
		t.Errorf("what dst held counts as found: %v", got)
	}
	if got := new(Names).Find(nil, Fold([]byte("phone")), nil); got != nil {
		t.Errorf("no names find %v", got)
	}
}

// TestNamesModel compares with the definition, run by run, without plurals and attributes.
func TestNamesModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	words := []string{"ab", "a", "b", "ba", "c", "手", "1"}
	name := func() (n []string) {
		for range 1 + r.IntN(5) {
			n = append(n, words[r.IntN(len(words))])
		}
		return n
	}
	for range 2000 {
		var names Names
		var declared []string
		for id := range 1 + r.IntN(6) {
			n := strings.Join(name(), "_")
			names.Add(joined(n), uint32(id))
			declared = append(declared, Fold([]byte(n)).String())
		}
		asked := strings.Join(name(), "_")
		tokens := Fold([]byte(asked))
		for id, d := range declared {
			want := false
			for i := range tokens {
				for j := i + 1; j <= len(tokens); j++ {
					want = want || strings.Join(tokens[i:j], "") == d
				}
			}
			if got := slices.Contains(names.Find(nil, tokens, nil), uint32(id)); got != want {
				t.Fatalf("%s in %s: %v, want %v", d, asked, got, want)
			}
		}
	}
}

func TestContextOf(t *testing.T) {
	for name, want := range map[string]Context{
		"buyerPhone":  aboutPhone,
		"deviceInfo":  aboutDevice,
		"cardNo":      aboutCard,
		"appVersion":  aboutVersion,
		"versionNote": 0,
		"orderNo":     aboutThing,
		"orderNoText": 0,
		"createTime":  aboutThing,
		"remark":      0,
		"code":        0, // only before a number in a text
		"身份证号":        aboutIdentity,
		"":            0,
	} {
		if got := ContextOf(Fold([]byte(name))); got&want != want || want == 0 && got != 0 {
			t.Errorf("%s speaks of %b, want %b", name, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	var names Names
	for id, name := range []string{"imei", "phone", "手机号", "idCard", "e-mail", "address"} {
		names.Add(joined(name), uint32(id))
	}
	for _, name := range []string{"imei", "IDCard", "收件人手机号", "ｉｍｅｉ", "a_b", "\u200b", "x\u0301\u0301", "İ", "ǅ", "ﬁ"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !utf8.ValidString(name) {
			return
		}
		tokens := Fold([]byte(name))
		for _, token := range tokens {
			if token == "" || !utf8.ValidString(token) {
				t.Fatalf("%q is folded to %q", name, tokens)
			}
		}
		if again := Fold([]byte(strings.Join(tokens, "_"))); again.String() != tokens.String() && len(tokens) < maxTokens/2 {
			t.Fatalf("%q is folded to %q, and again to %q", name, tokens, again)
		}
		ContextOf(tokens)
		names.Find(nil, tokens, nil)
		// A declared name behind any other is found.
		if got := names.Find(nil, Fold([]byte(name+"_imei")), nil); !slices.Contains(got, 0) && len(tokens) > 0 && tokens[0] != "is" && tokens[0] != "has" {
			t.Fatalf("%q hides a name behind it", name)
		}
	})
}

func joined(name string) string { return Fold([]byte(name)).String() }
