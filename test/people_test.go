package test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
)

// planted is one secret of one person: found in an answer to a caller who may not have its kind, it is a leak.
type planted struct {
	kind  string
	value string
}

// customer and order are records of the backend, as its API takes them, with the secrets that stand in them.
type customer struct {
	fields  map[string]any
	planted []planted
}

type order struct {
	buyer   int // index of the customer
	fields  map[string]any
	planted []planted
}

// shop makes the same customers and orders every time: unique, with check digits that are right, half of them Chinese
// and half European.
func shop(customers, orders int) ([]customer, []order) {
	g := &generator{rand.New(rand.NewPCG(2026, 11))}
	people := make([]customer, customers)
	for i := range people {
		people[i] = g.customer(i)
	}
	bought := make([]order, orders)
	for i := range bought {
		bought[i] = g.order(i, i%customers)
	}
	return people, bought
}

type generator struct{ *rand.Rand }

func (g *generator) customer(i int) customer {
	c := customer{fields: map[string]any{}}
	add := func(kind, key, value string) {
		c.fields[key] = value
		c.planted = append(c.planted, planted{kind, value})
	}
	born := fmt.Sprintf("%d-%02d-%02d", 1960+g.IntN(45), 1+g.IntN(12), 1+g.IntN(28))
	add("born", "birthday", born)
	add("email", "email", fmt.Sprintf("k%s.%d@example.%s", g.digits(6), i, []string{"cn", "de", "it", "fr"}[i%4]))
	if i%2 == 0 {
		add("name", "real_name", chineseName(i))
		add("phone", "phone", "13"+g.digits(9))
		add("id", "id_card", residentID(g, born))
		add("bank", "bank_account", luhn("62284800"+g.digits(10)))
		c.fields["country"] = "CN"
	} else {
		country := []string{"DE", "IT", "FR"}[i/2%3]
		add("name", "real_name", europeanName(i))
		add("phone", "phone", map[string]string{"DE": "+49151", "IT": "+39347", "FR": "+33612"}[country]+g.digits(map[string]int{"DE": 8, "IT": 7, "FR": 6}[country]))
		add("id", "passport", country[:1]+strconv.Itoa(g.IntN(9))+"ZK"+g.digits(5))
		add("bank", "bank_account", iban(g, country))
		c.fields["country"] = country
	}
	return c
}

func (g *generator) order(i, buyer int) order {
	o := order{buyer: buyer}
	plant := func(kind, value string) string {
		o.planted = append(o.planted, planted{kind, value})
		return value
	}
	imei := luhn("8605310" + g.digits(7))
	plant("device", imei)
	street := fmt.Sprintf("Kastanienallee %s", g.digits(6))
	city := "Berlin"
	if buyer%2 == 0 {
		street, city = fmt.Sprintf("漕溪北路 %s 号", g.digits(6)), "上海市"
	}
	o.fields = map[string]any{
		"order_no": fmt.Sprintf("D202611%02d%06d", 1+i%28, i),
		"status":   []string{"paid", "shipped", "delivered", "refund_requested"}[i%4],
		"amount":   float64(100+g.IntN(90000)) / 100,
		"consignee": map[string]any{
			"name":    plant("name", chineseName(1000+i)),
			"phone":   plant("consignee", "15"+g.digits(9)),
			"address": map[string]any{"city": city, "street": plant("consignee", street)},
		},
		"card_number": plant("card", luhn("622202"+g.digits(12))),
		"card_expiry": "09/28",
		// Devices report numbers as they like: one API, both spellings.
		"imei":   number(imei),
		"device": map[string]any{"imei": imei, "iccid": plant("device", luhn("898602"+g.digits(13))), "oaid": plant("device", uuid(g)), "mac": plant("device", mac(g))},
		"ip":     plant("ip", fmt.Sprintf("114.%d.%d.%d", g.IntN(256), g.IntN(256), 1+g.IntN(254))),
		"items":  []any{map[string]any{"sku": fmt.Sprintf("BG-%04d", i), "name": "Trail backpack", "price": 59.9, "quantity": 1 + i%3}},
		"remark": "请放门口，打 " + plant("remark", "18"+g.digits(9)) + " or write to " + plant("remark", "r"+g.digits(7)+"@example.org"),
	}
	return o
}

func (g *generator) digits(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + g.IntN(10)))
	}
	return b.String()
}

// chineseName and europeanName give every i a name of its own, none part of another.
func chineseName(i int) string {
	surnames, given := []rune("王李张刘陈杨黄赵周吴徐孙朱马胡郭"), []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰建国志鹏宇浩轩梓涵雨欣怡")
	n := len(given)
	return string([]rune{surnames[i%len(surnames)], given[i%n], given[(i/n+i/len(surnames))%n]}) + map[bool]string{true: "翀", false: "龑"}[i >= 1000]
}

func europeanName(i int) string {
	first, last := []string{"Greta", "Matteo", "Jonas", "Zoé", "Søren", "Chiara"}, []string{"Lindqvist", "Ferrari", "Müller", "Lambert", "Østergård", "Bianchi"}
	return fmt.Sprintf("%s %s-%s", first[i%6], last[i/6%6], []string{"Rossi", "Weber"}[i/36%2])
}

// luhn appends the check digit of ISO/IEC 7812-1 annex B, which cards, ICCIDs and IMEIs share.
func luhn(payload string) string {
	sum := 0
	for i := range len(payload) {
		d := int(payload[len(payload)-1-i] - '0')
		if i%2 == 0 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	return payload + strconv.Itoa((10-sum%10)%10)
}

// residentID makes a GB 11643 number with its ISO 7064 MOD 11-2 check character.
func residentID(g *generator, born string) string {
	payload := "310104" + strings.ReplaceAll(born, "-", "") + g.digits(3)
	sum := 0
	for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(payload[i]-'0') * weight
	}
	return payload + "10X98765432"[sum%11:sum%11+1]
}

// iban makes an account number with the check digits of ISO 13616: the rearranged number is 1 modulo 97.
func iban(g *generator, country string) string {
	account := map[string]string{"DE": g.digits(18), "IT": "X" + g.digits(22), "FR": g.digits(23)}[country]
	var digits strings.Builder
	for _, r := range account + country + "00" {
		n, _ := strconv.ParseInt(string(r), 36, 64)
		fmt.Fprint(&digits, n)
	}
	n, _ := new(big.Int).SetString(digits.String(), 10)
	return fmt.Sprintf("%s%02d%s", country, 98-n.Mod(n, big.NewInt(97)).Int64(), account)
}

func uuid(g *generator) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", g.Uint32(), g.IntN(1<<16), g.IntN(1<<12), g.IntN(1<<12), g.Int64N(1<<48))
}

func mac(g *generator) string {
	b := g.Uint32()
	return fmt.Sprintf("3c:22:%02x:%02x:%02x:%02x", byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
}

func number(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		panic(err) // the generator's own digits
	}
	return n
}
