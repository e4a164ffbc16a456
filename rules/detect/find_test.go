package detect

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// found writes the hits of a text like phone=13800138000, separated by blanks.
func found(text string, c Context) string {
	var b strings.Builder
	for i, h := range All.Find(nil, []byte(text), c) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(Detectors[h.Kind].Name + "=" + text[h.Start:h.End])
	}
	return b.String()
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// The citizen number: check digit, date, province. The second is the standard's own example, born in 1880.
		{"我的身份证310104199003072515", "national_id.cn=310104199003072515"},
		{"440524188001010014", "national_id.cn=440524188001010014"},
		{"11010519491231002X", "national_id.cn=11010519491231002X"},
		{"11010519491231002x.", "national_id.cn=11010519491231002x"},
		{"110105 19491231 002Ｘ", "national_id.cn=110105 19491231 002Ｘ"},
		{"ID_310104199003072515.pdf", "national_id.cn=310104199003072515"},
		{"A-310104199003072515-01", "national_id.cn=310104199003072515"},
		{"310104199003072516", ""},                                // check digit
		{"310104199013072512", ""},                                // month
		{"990104199003072515", ""},                                // province
		{"1310104199003072515", ""},                               // a longer number
		{"310104199003072515A", ""},                               // a longer token
		{"身份证 310104900307251", "national_id.cn=310104900307251"}, // of before 1999: only with its word
		{"310104900307251", ""},

		// SIM and device numbers. Every ICCID is a valid card number, and this IMSI could be another's IMEI.
		{"89860012345678901238", "iccid=89860012345678901238"},
		{"8986001234567890123", ""},
		{"460001234567890", "imsi=460001234567890"},
		{"860531030123452", "imei=860531030123452"},
		{"490154203237518", "imei=490154203237518"},
		{"IMEI: 49-015420-323751-8", "imei=49-015420-323751-8"},
		{"imei490154203237518", "imei=490154203237518"},
		{"860531030123453", ""}, // check digit
		{"200154203237512", ""}, // nobody's prefix
		{"imei 200154203237519", "imei=200154203237519"},
		{"meid A10000009296F2", "meid=A10000009296F2"},
		{"A10000009296F2", ""},

		{"4111111111111111", "card_number=4111111111111111"},
		{"4111 1111 1111 1111", "card_number=4111 1111 1111 1111"},
		{"4111-1111-1111-1111", "card_number=4111-1111-1111-1111"},
		{"4111\u00a01111\u00a01111\u00a01111", "card_number=4111\u00a01111\u00a01111\u00a01111"},
		{"卡号 6222021000000000017 有效期0928", "card_number=6222021000000000017 card_expiry=0928"},
		{"6222 0210 0000 0000 017", "card_number=6222 0210 0000 0000 017"},
		{"378282246310005", "card_number=378282246310005"},
		{"3530111333300000", "card_number=3530111333300000"},
		{"2223000048400011", "card_number=2223000048400011"},
		{"4111111111111112", ""},
		{"9111111111111116", ""}, // no issuer
		{"visa 4111111111111111 cvv 123", "card_number=4111111111111111 card_security=123"},

		{"DE89370400440532013000", "iban=DE89370400440532013000"},
		{"IT60 X054 2811 1010 0000 0123 456", "iban=IT60 X054 2811 1010 0000 0123 456"},
		{"de89370400440532013000", "iban=de89370400440532013000"},
		{"DE89370400440532013001", ""},
		{"DE8937040044053201300", ""},
		{"XX89370400440532013000", ""},

		{"13800138000", "phone=13800138000"},
		{"加我微信 13800138000", "phone=13800138000"},
		{"tel13800138000", "phone=13800138000"},
		{"138-0013-8000", "phone=138-0013-8000"},
		{"138.0013.8000", "phone=138.0013.8000"},
		{"138 - 0013 - 8000", "phone=138 - 0013 - 8000"},
		{"１３８００１３８０００", "phone=１３８００１３８０００"},
		{"١٣٨٠٠١٣٨٠٠٠", "phone=١٣٨٠٠١٣٨٠٠٠"},
		{"138\u200b0013\u200b8000", "phone=138\u200b0013\u200b8000"},
		{"8613800138000", "phone=8613800138000"},
		{"0086 138 0013 8000", "phone=0086 138 0013 8000"},
		{"+8613800138000", "phone=+8613800138000"},
		{"call +39 3471234567", "phone=+39 3471234567"},
		{"00393331234567", ""}, // as it stands, any number
		{"phone: 00393331234567", "phone=00393331234567"},
		{"call 0039 333 1234567 now", "phone=0039 333 1234567"},
		{"0039-333-1234567", "phone=0039-333-1234567"},
		{"0044 (20) 7946 0958", "phone=0044 (20) 7946 0958"},
		{"tel00393331234567", "phone=00393331234567"},
		{"000393331234567", ""}, // no country's number begins with a zero
		{"003933", ""},
		{"0012345678", ""},           // too common for other things
		{"00123456789012345678", ""}, // ITU-T E.164 has no more than fifteen digits
		{"1.00393331234567", ""},
		{"A00393331234567", ""},
		{"+49 170 1234567, 10827 Berlin", "phone=+49 170 1234567"},
		{"+1 (415) 555-2671", "phone=+1 (415) 555-2671"},
		{"+1.4155552671", "phone=+1.4155552671"},
		{"13800138000. 12 pieces", "phone=13800138000"},
		{"13800138000/13900139000", "phone=13800138000 phone=13900139000"},
		{"13800138000 13900139000", "phone=13800138000 phone=13900139000"},
		{"/users/13800138000/orders", "phone=13800138000"},
		{"https://ext.example/?m=13800138000&o=D1", "phone=13800138000"},
		{"phone number is 415 555 2671", "phone=415 555 2671"},
		{"电话：021-61234567", "phone=021-61234567"},
		{"23800138000", ""},
		{"138001380001", ""},
		{"12113800138000121", ""},                  // a part of a longer number
		{"CNY 13800138000.00", ""},                 // an amount
		{"13800138000.00", "phone=13800138000.00"}, // as the JSON number
		{"1.3800138E10", "phone=1.3800138E10"},
		{"1.3800138e+10", "phone=1.3800138e+10"},
		{"-4.901542032375180e14", "imei=-4.901542032375180e14"},
		{"1.3800138E10.0", ""},
		{"1.3800138E", ""},
		{"1.3.800138E10", ""},
		{"E10", ""},
		{"D13800138000", ""},
		{"+20.5", ""},
		{"+12345678.90", ""},

		{"anna.weber@example.de", "email=anna.weber@example.de"},
		{"邮箱anna@example.de, b+c@d.example.co.uk.", "email=anna@example.de email=b+c@d.example.co.uk"},
		{"13800138000@qq.com", "email=13800138000@qq.com"},
		{"_a@b.io", "email=_a@b.io"},
		{"https://ecp.example/b/1?email=mario.rossi@example.it", "email=mario.rossi@example.it"},
		{"138 0013 8000.x@b.io", "phone=138 0013 8000 email=.x@b.io"},
		{"@handle", ""},
		{"user@localhost", ""},
		{"image@2x.png", ""},
		{"a@ b.de", ""},

		{"114.80.166.240", "ip=114.80.166.240"},
		{"from 114.80.166.240:8080", "ip=114.80.166.240"},
		{"ip:114.80.166.240", "ip=114.80.166.240"},
		{"2001:b07:6474:8f1c:21ab:33ff:fe12:9", "ip=2001:b07:6474:8f1c:21ab:33ff:fe12:9"},
		{"[2001:db8::7]:443", "ip=2001:db8::7"},
		{"ip:2001:db8::7", "ip=2001:db8::7"},
		{"::ffff:114.80.166.240", "ip=::ffff:114.80.166.240"},
		{"fe80::1", "ip=fe80::1"},
		{"version 1.2.3.4", ""},
		{"v1.2.3.4", ""},
		{"1.2.3.4.5", ""},
		{"256.1.1.1", ""},
		{"01.2.3.4", ""},
		{"Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36", ""},
		{"12:34:56", ""},
		{"std::vector", ""},
		{"a::b", ""},

		{"3c:22:fb:12:34:56", "mac=3c:22:fb:12:34:56"},
		{"mac:3C-22-FB-12-34-56", "mac=3C-22-FB-12-34-56"},
		{"aa-bb-cc-dd-ee-ff", "mac=aa-bb-cc-dd-ee-ff"},
		{"3c:22:fb:12:34", ""},
		{"3c:22:fb:12:34:56:78:9a", ""}, // a fingerprint
		{"12-34-56-78-90-12", ""},

		{"RSSMRA80A01H501U", "codice_fiscale=RSSMRA80A01H501U"},
		{"rssmra80a01h501u", "codice_fiscale=rssmra80a01h501u"},
		{"RSSMRA80A01H501V", ""},
		{"91350100M000100Y43", "uscc=91350100M000100Y43"}, // the standard's example
		{"91350100M000100Y44", ""},

		{"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
			"jwt=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"},
		{"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.", "jwt=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0."},
		{"eyJhbGciOiJIUzI1NiJ9", ""},
		{"$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "password_hash=$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"},
		{"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b7dWg",
			"password_hash=$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b7dWg"},
		{"$100.50", ""},

		{"code 482913 wrong", "verification_code=482913"},
		{"【某商城】验证码：4829，五分钟内有效", "verification_code=4829"},
		{"Your OTP is 482913", "verification_code=482913"},
		{"error code 482913", ""},
		{"code 404", ""},
		{"zip code 108270", ""},
		{"passport no: E12345678", "passport=E12345678"},
		{"护照号 EA1234567", "passport=EA1234567"},
		{"SSN 123-45-6789", "ssn.us=123-45-6789"},
	} {
		if got := found(c.text, 0); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestFindNothing holds what APIs are full of and what looks like a number of ours.
func TestFindNothing(t *testing.T) {
	for _, text := range []string{
		"D2022111800001", "20221118153000123456", "202211181530001234", "221118153000123456", "2211181530001234", "SF1234567890123", "YT8830000000001",
		"1523456789012345678", "1234567890123456789", "175928847299117063", // snowflakes
		"6901234567892", "4006381333931", "9780306406157", // EAN-13
		"1700000000", "1700000000000", "1700000000000000", "1700000000000000000", // epochs
		"2026-11-22", "2026-11-22T05:00:00Z", "2026-11-22T05:00:00.123456+08:00", "2026/11/22 05:00:00", "2026.11.22", "20261122", "20261122050000",
		"1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5", "00000000-0000-0000-0000-000000000000", "12345678-1234-1234-1234-123456789012",
		"d41d8cd98f00b204e9800998ecf8427e", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"1.2.3", "10.15.7", "v2.11.9", "88.00", "1,288.00", "1288.00 CNY", "-121.50", "12345.678901", "99.999999999999", "3.14159265358979",
		"460-00-6334-52101", "1080x2400", "10827 Berlin", "Hauptstr. 5", "pending", "CNY", "zh-CN", "#ff0000", "rgba(255, 255, 255, 0.5)",
		"W/\"5f3759df\"", "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "data:image/png;base64,iVBORw0KGgo=",
		"/api/v1/orders/42/items/7?page=2&size=50", "rtmp://live.example/app/stream", "urn:uuid:1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5",
		"10:30-18:00", "1/2/3/4", "1 2 3 4 5 6 7 8 9 10 11 12 13", "40-42", "SKU-100200300", "123456789", "987654321", "2 x 4 = 8",
	} {
		if got := found(text, 0); got != "" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// TestR17LookAlikes is a corpus of look-alikes: fifteen digits can be five different things, and nine are an order more often than
// a US social security number.
func TestR17LookAlikes(t *testing.T) {
	for text, want := range map[string]string{
		"490154203237518": "imei",
		"378282246310005": "card_number",
		"371449635398431": "card_number",
		"460001234567890": "imsi",
		"460010123456785": "imsi", // valid by the IMEI's check digit too
		"310104900307251": "",     // an identity card's number of before 1999, or anything
		"202211181530001": "",     // an order
		"123456789012345": "",
		"219099999":       "",
		"078051120":       "",
	} {
		got, _, _ := strings.Cut(found(text, 0), "=")
		if got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
		kind, ok := All.Number([]byte(text), 0)
		if name := Detectors[kind].Name; ok != (want != "") || ok && name != want {
			t.Errorf("the number %s is %q, %v, want %q", text, name, ok, want)
		}
	}
	if got := found("310104900307251", ContextOf(Fold([]byte("idCard")))); got != "national_id.cn=310104900307251" {
		t.Errorf("an old number under its name: %q", got)
	}
	if got := found("219099999", ContextOf(Fold([]byte("ssn")))); got != "ssn.us=219099999" {
		t.Errorf("a social security number under its name: %q", got)
	}
}

func TestFindUnderName(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"appVersion", "1.2.3.4", ""},
		{"firmware", "10.0.0.138", ""},
		{"clientIp", "1.2.3.4", "ip=1.2.3.4"},
		{"orderNo", "15012345678", ""},
		{"orderNo", "310104199003072515", "national_id.cn=310104199003072515"}, // no order number passes by chance
		{"orderRemark", "15012345678", "phone=15012345678"},
		{"barcode", "4000000000000002", ""},
		{"timeNote", "call 15012345678", "phone=15012345678"},
		{"phoneBackup", "415-555-2671", "phone=415-555-2671"},
		{"deviceNumber", "200154203237519", "imei=200154203237519"},
		{"deviceNumber", "3534110123456701", "imeisv=3534110123456701"},
		{"wifiMac", "3c22fb123456", "mac=3c22fb123456"},
		{"btMac", "3c22.fb12.3456", "mac=3c22.fb12.3456"},
		{"gps", "31.194836,121.436525", "coordinate=31.194836,121.436525"},
		{"latitude", "-31.194836", "coordinate=-31.194836"},
		{"price", "31.194836", ""},
		{"barcode", "0012000161155", ""},
		{"orderNo", "00393331234567", ""},
		{"phone", "00393331234567", "phone=00393331234567"},
		{"amount", "13800138000.00", ""},
		{"total", "1.3800138E10", ""},
		{"cardNumber", "4222222222222", "card_number=4222222222222"},
		{"passportNo", "123456789", "passport=123456789"},
	} {
		if got := found(c.text, ContextOf(Fold([]byte(c.name)))); got != c.want {
			t.Errorf("%q under %s: %q, want %q", c.text, c.name, got, c.want)
		}
	}
}

func TestSet(t *testing.T) {
	var s Set
	kind, ok := ParseName("phone")
	if !ok || s.Has(kind) {
		t.Fatal("no phone detector, or in the empty set")
	}
	s = s.Add(kind)
	text := []byte("13800138000 anna@example.de 310104199003072515 +49 1701234567 114.80.166.240")
	if hits := s.Find(nil, text, 0); len(hits) != 2 || hits[0].Kind != kind || hits[1].Kind != kind {
		t.Errorf("a set of one finds %v", hits)
	}
	if len(Set(0).Find(nil, text, 0)) > 0 {
		t.Error("the empty set finds something")
	}
	for _, name := range AllNames() {
		if k, ok := ParseName(name); !ok || Detectors[k].Name != name || !All.Has(k) {
			t.Errorf("%s is not itself", name)
		}
	}
	for _, name := range []string{"imei", "national_id.cn", "card_number", "iban", "phone"} { // that documents write
		if _, ok := ParseName(name); !ok {
			t.Errorf("no detector %s", name)
		}
	}
	if _, ok := ParseName("none"); ok {
		t.Error("none is no detector")
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	room := make([]Hit, 0, 16)
	for _, text := range []string{"13800138000", "卡号 6222 0210 0000 0000 017, IBAN DE89370400440532013000, fe80::1", "a@b.de", "2026-11-22", "+49 170 1234567"} {
		text := []byte(text)
		if n := testing.AllocsPerRun(100, func() { All.Find(room, text, 0) }); n > 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}

// TestLong runs what would take hours if the work grew faster than the text.
func TestLong(t *testing.T) {
	for _, unit := range []string{"1", "12 ", "1-", "12\u200b\u200b\u200b", "eyJ", "eyJ-", "eyJ.", "a@", "a.", "@", "$2a$", "$", "+1", "+", ":", "::", "ab:", "1:", "1.", "12-34-",
		"DE89 ", "验证码", "code 1234 ", "a@a.", "a-", "١", "\u200b1", "３ ", " ", "aaaaaaaaaaaaaaaa", "%40", "a%40@", "＠", "ａ", "a\u00ad", "1\x00", "12\x00_", "D\u200b", "DE8" + strings.Repeat("\u200b", 1000), "12" + strings.Repeat("\u200b", 1000),
		"+1" + strings.Repeat("\u200b", 1000), strings.Repeat("\u200b", 100) + "@", "138 0013-", "(138)", "①", "%B4111111111111111^"} {
		text := []byte(strings.Repeat(unit, 1<<19/len(unit)))
		checkHits(t, text, All.Find(nil, text, nameable))
	}
}

func checkHits(t *testing.T, text []byte, hits []Hit) {
	t.Helper()
	end := 0
	for _, h := range hits {
		if h.Start < end || h.End <= h.Start || h.End > len(text) || h.Kind >= maxKind {
			t.Fatalf("%.80q: hit %v behind %d", text, h, end)
		}
		if !utf8.RuneStart(text[h.Start]) || h.End < len(text) && !utf8.RuneStart(text[h.End]) {
			t.Fatalf("%.80q: hit %v cuts a character", text, h)
		}
		end = h.End
	}
}

// nameable is all that a name can speak of; of more only the words of the text itself can.
var nameable = func() (all Context) {
	for _, c := range contexts {
		if names, _, _ := strings.Cut(c.words, "|"); strings.TrimSpace(names) != "" {
			all |= c.about
		}
	}
	return all
}()

func FuzzFind(f *testing.F) {
	for _, text := range []string{"13800138000", "１３８ ０", "a@b.de", "::1", "3c:22:fb:12:34:56", "DE89 3704", "eyJhbGciOi.a.b", "$2a$10$", "+49 170", "验证码 1234", "1.2.3.4",
		"11010519491231002X", "31.19,121.4", "(138) 0013-8000", "13800138000-801", "1\x003800138000", "①③⑧⓪⓪①③⑧⓪⓪⓪", "zhang%40example.com", "ａ＠ｅ．ｄｅ", "uid13800138000",
		"%B4111111111111111^ZHANG/WEI^2812101?", "DE89.3704.0044.0532.0130.00", "4111_1111_1111_1111"} {
		f.Add(text, uint32(0))
		f.Add(text, ^uint32(0))
	}
	f.Fuzz(func(t *testing.T, s string, c uint32) {
		if !utf8.ValidString(s) {
			return
		}
		c &= uint32(nameable)
		text := []byte(s)
		hits := All.Find(nil, text, Context(c))
		checkHits(t, text, hits)
		// The prefilter lets all pass in which there is a hit.
		all := finder{set: All, text: text, about: Context(c), at: -1}
		all.scan()
		if len(all.hits) != len(hits) {
			t.Fatalf("%q: the prefilter hides %v", s, all.hits)
		}
		// One detector alone finds what it is, wherever all together find it first.
		for _, h := range hits {
			alone := Set(0).Add(h.Kind).Find(nil, text, Context(c))
			if len(alone) == 0 {
				t.Fatalf("%q: %s alone finds nothing", s, Detectors[h.Kind].Name)
			}
		}
	})
}
