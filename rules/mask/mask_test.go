package mask

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func parse(t testing.TB, s string) Spec {
	t.Helper()
	spec, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestAppend(t *testing.T) {
	for _, c := range []struct{ spec, value, want string }{
		{"all", "anything", "****"},
		{"all", "", "****"},

		{"3+4", "13800138000", "138****8000"},
		{"0+4", "6222021000000000017", "***************0017"},
		{"2+0", "密码是什么", "密码***"},
		{"3+4", "12345678", "******78"}, // too short for both ends: a quarter
		{"3+4", "123", "***"},
		{"3+4", "", "****"},
		{"id", "310104199003072515", "3****************5"},
		{"id", "123", "***"},

		{"name", "张伟", "张*"},
		{"name", "王小明", "王**"},
		{"name", "Anna Weber", "A***"},
		{"name", "Éva", "É***"},
		{"name", "张", "****"},
		{"name", "13800138000", "****"},
		{"name", "***", "****"},

		{"phone", "13800138000", "138****8000"},
		{"phone", "138-0013-8000", "138-****-8000"},
		{"phone", "+49 1701234567", "+49 170***4567"},
		{"phone", "+39 3471234567", "+39 347***4567"},
		{"phone", "+41 79 123 45 67", "+41 79 *** 45 67"},
		{"phone", "030 123456", "03* **3456"},
		{"phone", "+8613800138000", "+86138****8000"},
		{"phone", "8613800138000", "86138****8000"},
		{"phone", "0086 138 0013 8000", "0086 138 **** 8000"},
		{"phone", "+1 (415) 555-2671", "+1 (415) ***-2671"},
		{"phone", "+35312345678", "+353******78"}, // eight digits behind the code: a quarter
		{"phone", "１３８００１３８０００", "１３８****８０００"},
		{"phone", "12345678", "******78"},
		{"phone", "123", "****"},
		{"phone", "138****8000", "138****8000"},
		{"phone", "+**1701234567", "****"},
		{"phone", "138 0013 8000 or 139 0013 9000", "****"},
		{"phone", "1.3800138e10", "****"},
		{"phone", "+", "****"},

		{"email", "anna.weber@example.de", "a***@example.de"},
		{"email", "a@example.de", "***@example.de"},
		{"email", "张伟@example.cn", "张***@example.cn"},
		{"email", "Anna <anna@example.de>", "****"},
		{"email", "a@x.de, b@y.de", "****"},
		{"email", "anna@localhost", "****"},
		{"email", "no address", "****"},

		{"address", "上海市徐汇区虹桥路1号", "上海市徐汇区****"},
		{"address", "广东省深圳市南山区科技园路9号", "广东省深圳市南山区****"},
		{"address", "江苏省昆山市玉山镇人民路1号", "江苏省昆山市****"},
		{"address", "新疆维吾尔自治区乌鲁木齐市天山区新华路", "新疆维吾尔自治区乌鲁木齐市天山区****"},
		{"address", "上海虹桥路1号中山小区", "上海****"},
		{"address", "上海中山小区3号", "上海****"},
		{"address", "Hauptstr. 5, 10827 Berlin", "****"},
		{"address", "虹桥路1号", "****"},

		{"card", "6222021000000000017", "***************0017"},
		{"card", "4111 1111 1111 1111", "**** **** **** 1111"},
		{"card", "12345", "****5"},
		{"card", "anna@example.de", "****"},
		{"iban", "DE89370400440532013000", "DE****************3000"},
		{"iban", "IT60X0542811101000000123456", "IT*********************3456"},
		{"iban", "DE89 3704 0044 0532 0130 00", "DE** **** **** **** **30 00"},
		{"iban", "6222021000000000017", "****"},

		{"imei", "860531030123452", "86053103*******"},
		{"imei", "86-053103-012345-2", "86-053103-******-*"},
		{"imei", "b0fb38dba7c4d9ca37fda8ca3a5d3f9a", "****"}, // a hash of one
		{"imsi", "460001234567890", "46000**********"},
		{"iccid", "89860012345678901238", "898600**************"},
		{"mac", "3c:22:fb:12:34:56", "3c:22:fb:**:**:**"},
		{"mac", "3C22.FB12.3456", "3C22.FB**.****"},
		{"mac", "3c22fb123456", "3c22fb******"},
		{"mac", "3c:22:fb", "****"},

		{"ip", "114.80.166.240", "114.80.166.0"},
		{"ip", "114.80.166.240:8080", "114.80.166.0"},
		{"ip", "2001:b07:6474:8f1c:21ab:33ff:fe12:9", "2001:b07:6474::"},
		{"ip", "[2001:b07:6474:8f1c::9]:443", "2001:b07:6474::"},
		{"ip", "::ffff:114.80.166.240", "114.80.166.0"},
		{"ip", "fe80::1%eth0", "fe80::"},
		{"ip", "114.80.166.0/24", "****"},

		{"coordinate", "31.194836", "31.2"},
		{"coordinate", "-121.436525", "-121.4"},
		{"coordinate", "3.1194836e1", "31.2"},
		{"coordinate", "31.194836,121.436525", "31.2,121.4"},
		{"coordinate", "31194836", "null"},
		{"coordinate", "wtw3sj", "****"},
		{"coordinate", "1e400", "null"},
		{"coordinate", "Inf", "****"},

		{"year", "1980-01-01", "1980-**-**"},
		{"year", "1980-**-**", "1980-**-**"},
		{"year", "07/03/1980", "**/**/1980"},
		{"year", "1980年3月7日", "1980年*月*日"},
		{"year", "1980-01-01T08:30:00Z", "1980-**-**T**:**:**Z"},
		{"year", "19800101", "1980"},
		{"year", "1980", "1980"},
		{"year", "315532800", "null"},
		{"year", "1980.5", "null"},
		{"year", "March 7, 1980", "****"},
		{"year", "1985 1234567", "****"},

		{"province", "上海徐汇", "上海"},
		{"province", "内蒙古自治区呼和浩特市", "内蒙古"},
		{"province", "移动", "****"},
	} {
		if got := string(parse(t, c.spec).Append(nil, []byte(c.value))); got != c.want {
			t.Errorf("%s of %q: %q, want %q", c.spec, c.value, got, c.want)
		}
	}
}

func TestAppendKeepsWhatStandsBefore(t *testing.T) {
	if got := string(parse(t, "phone").Append([]byte(`"*`), []byte("none"))); got != `"*****` {
		t.Error(got)
	}
}

func TestHideLength(t *testing.T) {
	for _, c := range []struct{ spec, value, want string }{
		{"id", "310104199003072515", "3****5"},
		{"card", "4111 1111 1111 1111", "**** 1111"},
		{"mac", "3c:22:fb:12:34:56", "3c:22:fb:****"},
		{"name", "欧阳小明", "欧****"},
		{"year", "1980-01-01", "1980-****"},
		{"ip", "114.80.166.240", "114.80.166.0"},
	} {
		spec := parse(t, c.spec).HideLength()
		if got := string(spec.Append([]byte("*"), []byte(c.value))); got != "*"+c.want {
			t.Errorf("%s of %q: %q, want %q", c.spec, c.value, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "sha256", "3+", "+4", "-1+4", "3+40", "3+4+5", "Phone"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

// shows is how many letters and digits of a value each mask may leave at most, where that is a number.
var shows = map[string]int{
	"all": 0, "3+4": 7, "id": 2, "name": 1, "phone": 12, "card": 4, "iban": 6, "imei": 8, "imsi": 5, "iccid": 6, "mac": 6,
	"year": 4, "province": 3,
}

func FuzzAppend(f *testing.F) {
	for _, value := range []string{"13800138000", "张伟", "a@b.de", "上海市徐汇区虹桥路1号", "1980-01-01", "31.19,121.4", "::1", "4111 1111 1111 1111", "*", "**1"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !utf8.ValidString(value) {
			return
		}
		for name := range specs {
			check(t, name, value)
		}
		check(t, "3+4", value)
	})
}

func check(t *testing.T, name, value string) {
	spec := parse(t, name)
	got := string(spec.Append(nil, []byte(value)))
	if !utf8.ValidString(got) || got == "" {
		t.Fatalf("%s of %q: %q", name, value, got)
	}
	shown := got
	if name == "year" { // these stand between a date's parts and say nothing
		shown = strings.NewReplacer("T", "", "Z", "", "年", "", "月", "", "日", "", "时", "", "分", "", "秒", "").Replace(got)
	}
	if most, ok := shows[name]; ok && got != "null" && letters(shown) > most {
		t.Fatalf("%s of %q shows %q", name, value, got)
	}
	if local, _, ok := strings.Cut(got, "@"); name == "email" && ok && letters(local) > 1 {
		t.Fatalf("%s of %q shows %q", name, value, got)
	}
	if head, ok := strings.CutSuffix(got, hidden); name == "address" && (!ok || !strings.HasPrefix(value, head)) {
		t.Fatalf("%s of %q shows %q", name, value, got)
	}
	if spec.Numeric() && json.Valid([]byte(value)) && value[0] != '"' && isNumber([]byte(value)) && !json.Valid([]byte(got)) {
		t.Fatalf("%s of the number %s is no JSON: %s", name, value, got)
	}
	if again := string(spec.Append(nil, []byte(got))); again != got && again != hidden {
		t.Fatalf("%s of %q is %q, and again %q", name, value, got, again)
	}
	if short := string(spec.HideLength().Append(nil, []byte(value))); letters(short) > letters(got) {
		t.Fatalf("%s of %q without its length shows %q", name, value, short)
	}
}

func letters(s string) (n int) {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

func TestAppendAllocatesNothing(t *testing.T) {
	room := make([]byte, 0, 256)
	for _, c := range []struct{ spec, value string }{
		{"phone", "+49 1701234567"}, {"name", "张伟"}, {"email", "anna.weber.the.elder.of.them@example.de"}, {"card", "6222021000000000017"},
		{"address", "上海市徐汇区虹桥路1号"}, {"year", "1980-01-01"}, {"coordinate", "31.194836"}, {"ip", "114.80.166.240"}, {"id", "310104199003072515"},
	} {
		spec, value := parse(t, c.spec), []byte(c.value)
		if n := testing.AllocsPerRun(100, func() { spec.Append(room, value) }); n > 0 {
			t.Errorf("%s: %v allocations", c.spec, n)
		}
	}
}
