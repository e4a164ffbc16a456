package detect

import (
	"strconv"
	"testing"
)

// What APIs mostly hold; none of it is personal.
var ordinary = []struct{ name, text string }{
	{"word", "pending_payment"},
	{"title", "Leather bag, dark"},
	{"han", "上海某物流有限公司"},
	{"order", "D2022111800001"},
	{"date", "2026-11-22T05:00:00Z"},
	{"uuid", "1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5"},
	{"url", "https://shop.example.com/products/leather-bag"},
	{"price", "1288.00"},
	{"hash", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
	{"sentence", "The parcel left the warehouse on Monday and will be with you in 3 days, at the latest in 5."},
	{"phone", "13800138000"},
}

func BenchmarkFind(b *testing.B) {
	for _, o := range ordinary {
		b.Run(o.name, func(b *testing.B) {
			text, room := []byte(o.text), make([]Hit, 0, 8)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				All.Find(room, text, 0)
			}
		})
	}
}

func BenchmarkNumber(b *testing.B) {
	for _, literal := range []string{"42", "1288.00", "1700000000000", "490154203237518"} {
		b.Run(literal, func(b *testing.B) {
			text := []byte(literal)
			b.ReportAllocs()
			for b.Loop() {
				All.Number(text, 0)
			}
		})
	}
}

func BenchmarkNames(b *testing.B) {
	for _, n := range []int{10, 10000} {
		var names Names
		for i := range n {
			names.Add(joined("field"+strconv.Itoa(i*7)+"Name"), uint32(i))
		}
		names.Add(joined("phone"), uint32(n))
		for _, name := range []string{"consigneePhoneNumber", "收件人手机号", "totalQuantity"} {
			b.Run(strconv.Itoa(n)+"/"+name, func(b *testing.B) {
				for b.Loop() {
					names.Find(nil, Fold([]byte(name)), nil)
				}
			})
		}
	}
}
