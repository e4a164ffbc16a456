package detect

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Context is what a name tells detectors about its value: a set of kinds that the name speaks of.
type Context uint32

// What a name, or a word in a text before a number, may speak of.
const (
	aboutPhone Context = 1 << iota
	aboutDevice
	aboutSIM
	aboutMAC
	aboutCard
	aboutIdentity
	aboutPassport
	aboutSocialSecurity
	aboutCoordinate
	aboutCode
	aboutSixDigitCode
	aboutCardSecurity
	aboutCardExpiry
	aboutVersion
	aboutThing // an order, a time, an amount: a number that is nobody's
)

// contexts are the words. Those that only mean something before a number in a text, not as the name of a field, stand
// behind a bar; those that only do as a name, behind a second one: created_at is a time, "reach me at" is none.
var contexts = []struct {
	about Context
	words string
}{
	{aboutPhone, "phone mobile tel telephone cellphone cell msisdn fax hotline whatsapp 手机 电话 传真 联系方式 shouji shoujihao sjh lxdh " +
		"cellulare telefono | call sms"},
	{aboutDevice, "imei imeisv meid device handset terminal deviceno devicenumber 串号 设备 | tac"},
	{aboutSIM, "sim imsi iccid simcard subscriber"},
	{aboutMAC, "mac macaddress bssid wifimac btmac bluetooth"},
	{aboutCard, "card cardno cardnumber creditcard debitcard bankcard pan 卡号 银行卡 信用卡 储蓄卡 借记卡 yhk yhkh kahao | visa mastercard 卡"},
	{aboutIdentity, "idcard idno idnumber identity certno certificateno 身份证 证件 sfz sfzh"},
	{aboutPassport, "passport passportno passportnumber 护照 通行证 huzhao"},
	{aboutSocialSecurity, "ssn socialsecurity socialsecuritynumber"},
	{aboutCoordinate, "gps geo coordinate coord latlng lnglat location position lat lng lon latitude longitude 坐标 经纬度 定位 经度 纬度"},
	{aboutCode, "| verificationcode verifycode smscode authcode securitycode onetimecode otp passcode pin 验证码 校验码 动态码 动态密码 支付密码 密码"},
	{aboutSixDigitCode, "| code"},
	{aboutCardSecurity, "| cvv cvv2 cvc cvc2 cvn cvn2 安全码"},
	{aboutCardExpiry, "| exp expiry expires expirydate expirationdate validthru 有效期"},
	{aboutVersion, "version ver versionname firmware build release oid sdk os 版本"},
	{aboutThing, "orderno ordernumber orderid ordersn tradeno tradeid transactionid transactionno invoiceno invoicenumber trackingno " +
		"trackingnumber waybillno parcelno flowno batchno barcode ean upc isbn gtin sku serial timestamp time date amount price " +
		"total quantity qty count size length duration hash checksum etag nonce sequence seq offset cursor " +
		"订单号 运单号 单号 流水号 金额 价格 数量 时间 日期 条码 | order errorcode statuscode zipcode postalcode postcode areacode " +
		"countrycode productcode itemcode promocode couponcode httpcode exitcode | at"},
}

var (
	contextNames Names       // rows of contexts, by name
	contextWords [256][]word // by the last byte
)

type word struct {
	text  string
	about Context
}

func init() {
	for row, c := range contexts {
		names, more, _ := strings.Cut(c.words, "|")
		onlyText, onlyName, _ := strings.Cut(more, "|")
		for _, w := range strings.Fields(names + " " + onlyName) {
			contextNames.Add(w, uint32(row))
		}
		for _, w := range strings.Fields(names + onlyText) {
			last := w[len(w)-1]
			contextWords[last] = append(contextWords[last], word{w, c.about})
		}
	}
}

// ContextOf returns what a name speaks of. What makes a number nobody's must be the name's noun: a timeNote is a note.
func ContextOf(t Tokens) Context {
	var c Context
	for _, m := range contextNames.matches(t) {
		for _, row := range contextNames.ids[m.declared] {
			about := contexts[row].about
			if about < aboutVersion || m.end == len(t) {
				c |= about
			}
		}
	}
	return c
}

// wordBefore returns what the word before text[:end] speaks of: "card number: ", "验证码".
func wordBefore(text []byte) Context {
	if len(text) < 2 {
		return 0
	}
	var w window
	if !w.fill(text) {
		return 0
	}
	for {
		if c := w.about(); c != 0 {
			return c
		}
		if !w.dropFiller() {
			return 0
		}
	}
}

// window is the end of a text, in lower case, without what stands between words.
type window struct {
	bytes  [40]byte
	starts uint64 // bit i: a word may start at bytes[i]
	from   int
	to     int
}

// fill reads backwards, so that its cost does not depend on the text's length. It reports whether there is a word at all.
func (w *window) fill(text []byte) bool {
	w.from, w.to = len(w.bytes), len(w.bytes)
	gap := 0
	for len(text) > 0 && w.from > 0 && gap <= 3 {
		r, n := rune(text[len(text)-1]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeLastRune(text)
		}
		letter := r < utf8.RuneSelf && classes[r]&classWord != 0 || n > 1 && (unicode.IsLetter(r) || unicode.IsDigit(r))
		text = text[:len(text)-n]
		switch {
		case !letter:
			gap++
			w.starts |= 1 << w.from
		case n > w.from:
			return true
		case n == 1:
			if w.from == w.to && isDigit(byte(r)) && (len(text) == 0 || !isLetter(text[len(text)-1])) {
				return false // a number before a number
			}
			gap = 0
			w.from--
			w.bytes[w.from] = byte(r) | 0x20 // a letter to lower case; a digit stays
		default:
			gap = 0
			w.starts |= 1 << w.from // behind a Han character a word may start, and at it
			w.from -= n
			utf8.EncodeRune(w.bytes[w.from:], r)
			w.starts |= 1 << w.from
		}
	}
	if len(text) == 0 {
		w.starts |= 1 << w.from
	}
	return w.from < w.to
}

// about returns what the longest known word at the window's end speaks of.
func (w *window) about() Context {
	seen := w.bytes[w.from:w.to]
	if len(seen) == 0 {
		return 0
	}
	var longest word
	for _, known := range contextWords[seen[len(seen)-1]] {
		if len(known.text) > len(longest.text) && bytes.HasSuffix(seen, []byte(known.text)) && w.starts>>(w.to-len(known.text))&1 == 1 {
			longest = known
		}
	}
	return longest.about
}

// dropFiller drops a word that may stand between the telling one and the number.
func (w *window) dropFiller() bool {
	seen := w.bytes[w.from:w.to]
	for _, filler := range [...]string{"number", "is", "no", "num", "nr", "号码", "号", "码", "是", "为"} {
		if len(seen) > len(filler) && string(seen[len(seen)-len(filler):]) == filler {
			w.to -= len(filler)
			return true
		}
	}
	return false
}
