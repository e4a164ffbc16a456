package cmd

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// dice makes made-up values, the same ones in every run.
type dice struct{ *rand.Rand }

func newDice(seed uint64) *dice { return &dice{rand.New(rand.NewPCG(seed, 5))} }

func (d *dice) digits(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + d.IntN(10)))
	}
	return b.String()
}

func (d *dice) of(list ...string) string { return list[d.IntN(len(list))] }

// luhn is a number of n digits with a check digit (ISO/IEC 7812-1).
func (d *dice) luhn(prefix string, n int) string {
	payload := prefix + d.digits(n-1-len(prefix))
	sum := 0
	for i := range payload {
		v := int(payload[len(payload)-1-i] - '0')
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return payload + strconv.Itoa((10-sum%10)%10)
}

// gs1 is a product's number of n digits with a check digit (GS1 General Specifications 7.9).
func (d *dice) gs1(prefix string, n int) string {
	payload := prefix + d.digits(n-1-len(prefix))
	sum := 0
	for i := range payload {
		v := int(payload[len(payload)-1-i] - '0')
		if i%2 == 0 {
			v *= 3
		}
		sum += v
	}
	return payload + strconv.Itoa((10-sum%10)%10)
}

func (d *dice) mobile() string {
	return d.of("130", "135", "138", "150", "159", "176", "186", "188", "199") + d.digits(8)
}

func (d *dice) nationalID() string {
	id := d.of("110101", "310104", "440305", "510107") + d.day(1950, 2005).Format("20060102") + d.digits(3)
	sum := 0
	for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(id[i]-'0') * weight
	}
	return id + "10X98765432"[sum%11:sum%11+1]
}

func (d *dice) iban() string {
	account := d.digits(18)
	rest := 0
	for _, c := range account + "131400" { // DE00
		rest = (rest*10 + int(c-'0')) % 97
	}
	return fmt.Sprintf("DE%02d%s", 98-rest, account)
}

// codiceFiscale takes the check letter that the detector takes.
func (d *dice) codiceFiscale() string {
	code := d.of("RSSMRA", "VRDGPP", "BNCLCU") + d.digits(2) + "T" + fmt.Sprintf("%02d", 1+d.IntN(28)) + "H" + d.digits(3)
	for letter := range byte(26) {
		if hits := detect.All.Find(nil, []byte(code+string('A'+letter)), 0); len(hits) > 0 {
			return code + string('A'+letter)
		}
	}
	return code
}

func (d *dice) day(from, to int) time.Time {
	return time.Date(from+d.IntN(to-from), time.Month(1+d.IntN(12)), 1+d.IntN(28), d.IntN(24), d.IntN(60), d.IntN(60), 0, time.UTC)
}

func (d *dice) hex(n int) string {
	sum := sha256.Sum256([]byte(d.digits(20)))
	return hex.EncodeToString(sum[:])[:n]
}

func (d *dice) chineseName() string {
	return d.of("王", "李", "张", "刘", "陈", "杨", "赵", "欧阳") + d.of("伟", "芳", "娜", "敏", "静", "强", "磊", "洋") + d.of("", "", "华", "明")
}

func (d *dice) word() string { return d.of("kelp", "brass", "otter", "maple", "quartz") + d.digits(4) }

// plant is personal data under a name that says nothing.
type plant struct {
	key, category string
	value         func(*dice) any
}

func text(f func(*dice) string) func(*dice) any { return func(d *dice) any { return f(d) } }

// disguised are known by their values alone.
var disguised = []plant{
	{"f1", "card.number", text(func(d *dice) string { return d.luhn(d.of("4", "51", "62"), 16) })},
	{"f2", "device.imei", func(d *dice) any { return json.Number(d.luhn("86"+d.of("05", "73"), 15)) }},
	{"f3", "device.imsi", text(func(d *dice) string { return "460" + d.of("00", "01", "11") + d.digits(10) })},
	{"f4", "device.iccid", text(func(d *dice) string { return d.luhn("8986"+d.digits(2), 19) })},
	{"f5", "contact.phone", func(d *dice) any { return json.Number(d.mobile()) }},
	{"f6", "contact.email", text(func(d *dice) string { return d.word() + "@" + d.of("example.com", "example.org") })},
	{"f7", "network.ip", text(func(d *dice) string {
		return fmt.Sprintf("%d.%d.%d.%d", 20+d.IntN(200), d.IntN(256), d.IntN(256), d.IntN(256))
	})},
	{"f8", "device.mac", text(func(d *dice) string {
		h := d.hex(12)
		return h[:2] + ":" + h[2:4] + ":" + h[4:6] + ":" + h[6:8] + ":" + h[8:10] + ":" + h[10:]
	})},
	{"f9", "financial.account.iban", text((*dice).iban)},
	{"g1", "identity.national_id", text((*dice).nationalID)},
	{"g2", "auth.token", text(func(d *dice) string {
		part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		return part(`{"alg":"RS256","typ":"JWT"}`) + "." + part(`{"sub":"`+d.digits(12)+`","aud":"shop"}`) + "." + part(d.hex(40))
	})},
	{"g3", "auth.secret", text(func(d *dice) string { return "$2a$10$" + strings.Repeat(d.hex(53)[:1], 1) + d.hex(52) })},
	{"g4", "person.name", text((*dice).chineseName)},
	{"g5", "person.name", text(func(d *dice) string {
		return d.of("Anna", "Marco", "Julia", "Peter", "Maria", "Zelda", "Oona") + " " + d.of("Rossi", "Weber", "Novak", "Quist", "Moreau")
	})},
	{"g6", "contact.address", text(func(d *dice) string {
		return d.of("浙江省杭州市西湖区", "上海市徐汇区") + d.of("文三路", "淮海中路") + strconv.Itoa(1+d.IntN(400)) + "号" + d.digits(3) + "室"
	})},
	{"g7", "contact.address", text(func(d *dice) string {
		return strconv.Itoa(1+d.IntN(900)) + " " + d.of("Cherry", "Mill", "Station") + " " + d.of("Street", "Road", "Ave")
	})},
	{"g8", "person.gender", text(func(d *dice) string { return d.of("M", "F") })},
	{"g9", "person.birth", text(func(d *dice) string { return d.day(1950, 2005).Format(time.DateOnly) })},
	{"h1", "card.expiry", text(func(d *dice) string { return fmt.Sprintf("%02d/%d", 1+d.IntN(12), 27+d.IntN(5)) })},
	{"h2", "location.precise", func(d *dice) any { return json.Number(fmt.Sprintf("31.%s", d.digits(5)+"7")) }},
	{"h3", "location.precise", func(d *dice) any { return json.Number(fmt.Sprintf("121.%s", d.digits(5)+"7")) }},
	{"h4", "special.ethnicity", text(func(d *dice) string { return d.of("汉族", "回族", "满族", "壮族") })},
	{"h5", "contact.phone", text(func(d *dice) string { return "021-" + d.of("5", "6") + d.digits(7) })},
	{"h6", "identity.tax_id", text((*dice).codiceFiscale)},
	{"i1", "financial.account", text(func(d *dice) string { return "o" + d.hex(27) })},
	{"i2", "device.meid", text(func(d *dice) string { return "A" + d.hex(13) })},
	{"h7", "contact", text(func(d *dice) string {
		if d.IntN(2) == 0 {
			return d.mobile()
		}
		return d.word() + "@example.net"
	})},
	{"h8", "content.text", text(func(d *dice) string {
		return d.of("please ring me on ", "nobody at home, try ") + d.of(d.mobile(), d.word()+"@example.com") + " after noon"
	})},
}

// innocents are nobody's, however much some of them look like it.
var innocents = []plant{
	{"k01", "an order number of 16 digits", text(func(d *dice) string { return "62" + d.digits(14) })},
	{"k02", "one that begins like a card of another brand", func(d *dice) any { return json.Number("4" + d.digits(15)) }},
	{"k03", "one with the day", text(func(d *dice) string { return d.day(2025, 2027).Format("20060102150405") + d.digits(4) })},
	{"k05", "one of 15 digits", text(func(d *dice) string { return "86" + d.digits(13) })},
	{"k06", "seconds", func(d *dice) any { return d.day(2025, 2027).Unix() }},
	{"k07", "milliseconds", func(d *dice) any { return d.day(2025, 2027).UnixMilli() }},
	{"k08", "microseconds", func(d *dice) any { return d.day(2025, 2027).UnixMicro() + d.Int64N(1e6) }},
	{"k09", "a time", text(func(d *dice) string { return d.day(2025, 2027).Format(time.RFC3339) })},
	{"k10", "a day", text(func(d *dice) string { return d.day(2025, 2027).Format(time.DateOnly) })},
	{"k11", "a snowflake", func(d *dice) any {
		return json.Number(strconv.FormatInt((d.day(2025, 2027).UnixMilli()-1288834974657)<<22|d.Int64N(1<<22), 10))
	}},
	{"k12", "a snowflake as a text", text(func(d *dice) string {
		return strconv.FormatInt((d.day(2025, 2027).UnixMilli()-1420070400000)<<22|d.Int64N(1<<22), 10)
	})},
	{"k13", "EAN-13", text(func(d *dice) string { return d.gs1(d.of("690", "400", "471"), 13) })},
	{"k14", "UPC", text(func(d *dice) string { return d.gs1("0", 12) })},
	{"k15", "ISBN", text(func(d *dice) string { return d.gs1("9787", 13) })},
	{"k16", "ISBN in groups", text(func(d *dice) string {
		n := d.gs1("9783", 13)
		return n[:3] + "-" + n[3:4] + "-" + n[4:8] + "-" + n[8:12] + "-" + n[12:]
	})},
	{"k17", "GTIN-14", text(func(d *dice) string { return d.gs1(d.of("30", "36"), 14) })},
	{"k18", "an amount", func(d *dice) any { return json.Number(fmt.Sprintf("%d.%02d", d.IntN(900), d.IntN(100))) }},
	{"k19", "a price like a latitude", func(d *dice) any { return json.Number(fmt.Sprintf("31.%02d", d.IntN(100))) }},
	{"k20", "a price like a longitude", func(d *dice) any { return json.Number(fmt.Sprintf("121.%02d", d.IntN(100))) }},
	{"k21", "UUID", text(func(d *dice) string {
		id, _ := uuid.FromBytes([]byte(d.hex(16)))
		return id.String()
	})},
	{"k22", "a version", text(func(d *dice) string { return fmt.Sprintf("%d.%d.%d", d.IntN(9), d.IntN(30), d.IntN(30)) })},
	{"k23", "a version of four parts", text(func(d *dice) string {
		return fmt.Sprintf("%d.%d.%d.%d", 7+d.IntN(3), d.IntN(3), d.IntN(40), d.IntN(60))
	})},
	{"k24", "SHA-256", text(func(d *dice) string { return d.hex(64) })},
	{"k25", "MD5", text(func(d *dice) string { return d.hex(32) })},
	{"k26", "a commit", text(func(d *dice) string { return d.hex(40) })},
	{"k27", "SKU", text(func(d *dice) string { return d.of("AB", "QX", "E") + "-" + d.digits(8) + d.of("-S", "-M", "-L") })},
	{"k28", "SKU of letters and digits", text(func(d *dice) string { return d.of("E", "G") + d.digits(8) })},
	{"k29", "a counter of 11 digits", func(d *dice) any { return json.Number(strconv.Itoa(13800100000 + d.IntN(90000))) }},
	{"k30", "a number of 11 digits", func(d *dice) any { return json.Number(strconv.Itoa(1+d.IntN(9)) + d.digits(10)) }},
	{"k31", "a size", text(func(d *dice) string { return d.of("S", "M", "L", "XL") })},
	{"k32", "a color", text(func(d *dice) string { return d.of("白色", "黄色", "黑色", "红色", "蓝色", "绿色") })},
	{"k33", "goods", text(func(d *dice) string {
		return d.of("男士纯棉短袖衬衫", "不锈钢保温杯", "儿童雨伞", "蓝牙耳机")
	})},
	{"k34", "goods in English", text(func(d *dice) string { return d.of("Blue Shirt", "Steel Bottle", "Kids Umbrella", "Garden Hose") })},
	{"k35", "a city", text(func(d *dice) string { return d.of("New York", "Los Angeles", "San Diego", "El Paso") })},
	{"k36", "a URL", text(func(d *dice) string { return "https://cdn.example.com/p/" + d.hex(12) + ".jpg" })},
	{"k37", "a parcel's number", text(func(d *dice) string { return d.of("SF", "YT", "JD") + d.digits(13) })},
	{"k38", "a rate", func(d *dice) any { return json.Number("1.08" + d.digits(2) + "3") }},
	{"k39", "another rate", func(d *dice) any { return json.Number("1.08" + d.digits(2) + "7") }},
	{"k40", "a state", text(func(d *dice) string { return d.of("paid", "shipped", "open") })},
	{"k41", "text without anybody", text(func(d *dice) string { return "the box no " + d.digits(16) + " arrived late and wet" })},
	{"k42", "a count", func(d *dice) any { return d.IntN(50) }},
	{"k43", "a number of 18 digits that begins with a region", text(func(d *dice) string { return "310104" + d.digits(12) })},
	{"k44", "a flag", func(d *dice) any { return d.IntN(2) == 0 }},
	{"k45", "a company's code", text(func(d *dice) string { return d.of("91310000MA1FL0LG7P", "91330106MA2CC0P45H") })},
}

// sampleOf makes n records with all of it, and what some places hold of keys that a base pack knows.
func sampleOf(d *dice, n int, known []plant) (lines [][]byte, planted map[string][]string) {
	planted = map[string][]string{}
	for range n {
		record := map[string]any{"cust": map[string]any{"userId": d.IntN(n / 2)}}
		put := func(in map[string]any, path string, p plant, secret bool) {
			v := p.value(d)
			in[p.key] = v
			if secret {
				planted[path+"/"+p.key] = append(planted[path+"/"+p.key], fmt.Sprint(v))
			}
		}
		inner, more, other := map[string]any{}, map[string]any{}, map[string]any{}
		for _, p := range disguised {
			put(record, "/rows/*", p, true)
			p.key = "n" + p.key
			put(inner, "/rows/*/payload", p, true)
		}
		for _, p := range innocents {
			put(more, "/rows/*/more", p, false)
		}
		for _, p := range known {
			put(other, "/rows/*/other", p, true)
		}
		nested, _ := json.Marshal(inner)
		record["payload"], record["more"], record["other"] = string(nested), more, other
		line, _ := json.Marshal(map[string]any{"rows": []any{record}})
		lines = append(lines, line)
	}
	return lines, planted
}
