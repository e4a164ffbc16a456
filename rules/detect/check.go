package detect

// The check digits, each by its standard. A number is its digits' values, not their characters.

// luhn is ISO/IEC 7812-1 annex B, for a number with its check digit. IMEI and ICCID use it too (3GPP TS 23.003 annex B,
// ITU-T E.118).
func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i])
		if i%2 == 1 {
			v *= 2
			if v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// mod11_2 is ISO 7064 MOD 11-2, for a number whose last value may be 10, written X (GB 11643).
func mod11_2(d []byte) bool {
	p := 0
	for _, v := range d {
		p = (p*2 + int(v)) % 11
	}
	return p == 1
}

// isNationalIDCN checks an 18-digit citizen number: GB 11643-1999. Its own example was born in 1880, so that century
// counts.
func isNationalIDCN(d []byte) bool {
	return len(d) == 18 && isProvince(d[0]*10+d[1]) && isDate(number(d[6:10]), number(d[10:12]), number(d[12:14])) &&
		d[6]*10+d[7] <= 20 && mod11_2(d)
}

// isOldNationalIDCN checks the shape of a 15-digit citizen number of before 1999, which has no check digit.
func isOldNationalIDCN(d []byte) bool {
	return len(d) == 15 && isProvince(d[0]*10+d[1]) && isDate(1900+number(d[6:8]), number(d[8:10]), number(d[10:12]))
}

// isProvince knows the first two digits of GB/T 2260, and 83 of residents from Taiwan.
func isProvince(p byte) bool {
	switch p / 10 {
	case 1:
		return p <= 15 && p > 10
	case 2:
		return p <= 23 && p > 20
	case 3:
		return p <= 37 && p > 30
	case 4:
		return p <= 46 && p > 40
	case 5:
		return p <= 54 && p >= 50
	case 6:
		return p <= 65 && p > 60
	}
	return p == 71 || p == 81 || p == 82 || p == 83
}

func isDate(year, month, day int) bool {
	if year < 1800 || month < 1 || month > 12 || day < 1 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		days = 29
	}
	return day <= days
}

// number returns the number that a few digits write.
func number(d []byte) int {
	n := 0
	for _, v := range d {
		n = n*10 + int(v)
	}
	return n
}

// isIMEI checks 15 digits: 3GPP TS 23.003 annex B. One number in ten passes, so without a word for it the first two
// digits must be those of a body that reports type allocations today (GSMA TS.06), or 49, which older ones carry.
func isIMEI(d []byte, c Context) bool {
	if len(d) != 15 || !luhn(d) {
		return false
	}
	switch d[0]*10 + d[1] {
	case 1, 35, 49, 86, 91, 99:
		return true
	}
	return c&aboutDevice != 0
}

// isIMSI checks for a subscriber number of a Chinese network (ITU-T E.212: country 460, then the network); others need
// a word for it.
func isIMSI(d []byte, c Context) bool {
	if len(d) == 15 && d[0] == 4 && d[1] == 6 && d[2] == 0 && number(d[3:5]) <= 20 {
		return true
	}
	return c&aboutSIM != 0 && (len(d) == 15 || len(d) == 14)
}

// isICCID checks a SIM card's number: ITU-T E.118 begins with 89. Every valid one is a valid card number by its check
// digit too. Cards of 20 digits exist with and without one.
func isICCID(d []byte, c Context) bool {
	if len(d) < 19 || len(d) > 20 || d[0] != 8 || d[1] != 9 {
		return false
	}
	return luhn(d) || c&aboutSIM != 0 || len(d) == 20 && luhn(d[:19])
}

// isCard checks a payment card: the issuers' ranges (ISO/IEC 7812-1) and the check digit. The check digit alone accepts
// one number in ten; with a word for it, it is enough.
func isCard(d []byte, c Context) bool {
	if len(d) < 13 || len(d) > 19 || !luhn(d) {
		return false
	}
	if c&aboutCard != 0 {
		return number(d[:4]) != 0
	}
	for _, r := range issuers {
		p := number(d[:4])
		if r.from <= p && p <= r.to && int(r.shortest) <= len(d) && len(d) <= int(r.longest) {
			return !isStamp(d)
		}
	}
	return false
}

// issuers are the ranges of the first four digits, with the lengths in use. Visa's old 13 digits are left to names: many
// product numbers (EAN-13) start alike.
var issuers = []struct {
	from, to          int
	shortest, longest byte
}{
	{4000, 4999, 16, 19}, // Visa
	{5100, 5599, 16, 16}, // Mastercard
	{2221, 2720, 16, 16}, // Mastercard
	{3400, 3499, 15, 15}, // American Express
	{3700, 3799, 15, 15}, // American Express
	{6200, 6299, 16, 19}, // UnionPay
	{8100, 8171, 16, 19}, // UnionPay
	{9558, 9559, 16, 19}, // older Chinese debit cards
	{6011, 6011, 16, 19}, // Discover
	{6440, 6599, 16, 19}, // Discover
	{3528, 3589, 16, 19}, // JCB
	{3000, 3059, 14, 14}, // Diners Club
	{3095, 3095, 14, 14}, // Diners Club
	{3600, 3699, 14, 14}, // Diners Club
	{3800, 3999, 14, 14}, // Diners Club
	{2200, 2204, 16, 19}, // Mir
	{5018, 5018, 16, 19}, // Maestro
	{5020, 5020, 16, 19}, // Maestro
	{5038, 5038, 16, 19}, // Maestro
	{6304, 6304, 16, 19}, // Maestro
	{6759, 6763, 16, 19}, // Maestro
}

// isStamp reports whether a number begins like yyMMddHHmmss of 2022 to 2027, as order numbers do: the youngest
// Mastercard range begins just so.
func isStamp(d []byte) bool {
	year := number(d[:2])
	return year >= 22 && year <= 27 && isDate(2000+year, number(d[2:4]), number(d[4:6])) &&
		number(d[6:8]) < 24 && number(d[8:10]) < 60 && number(d[10:12]) < 60
}

// isPhone checks a telephone number written without a plus: a Chinese mobile one (MIIT's numbering plan: 1, then 3 to 9), with or
// without its country code; with a word for it, any that could be dialled. It has no check digit.
func isPhone(d []byte, c Context) bool {
	if mobileCN(d) ||
		len(d) == 13 && d[0] == 8 && d[1] == 6 && mobileCN(d[2:]) ||
		len(d) == 15 && d[0] == 0 && d[1] == 0 && d[2] == 8 && d[3] == 6 && mobileCN(d[4:]) {
		return true
	}
	return c&aboutPhone != 0 && len(d) >= 7 && len(d) <= 15
}

func mobileCN(d []byte) bool { return len(d) == 11 && d[0] == 1 && d[1] >= 3 }

// isUSCC checks a unified social credit code: GB 32100-2015, 18 of 31 characters, the third to eighth the digits of a
// region, the last a check by MOD 31.
func isUSCC(s []byte) bool {
	if len(s) != 18 {
		return false
	}
	sum, weight := 0, 1
	for i, c := range s {
		v := usccValue[c]
		if v < 0 || i >= 2 && i < 8 && v > 9 {
			return false
		}
		if i == 17 {
			return (sum+int(v))%31 == 0
		}
		sum += int(v) * weight
		weight = weight * 3 % 31
	}
	return false
}

var usccValue = values("0123456789ABCDEFGHJKLMNPQRTUWXY")

// values maps each character of an alphabet to its place, all others to -1.
func values(alphabet string) (table [256]int8) {
	for i := range table {
		table[i] = -1
	}
	for i := range alphabet {
		table[alphabet[i]] = int8(i)
	}
	return table
}

// isCodiceFiscale checks an Italian tax code: Decreto Ministeriale 23 December 1976. Where two people would have the
// same, letters stand for some of its digits (omocodia).
func isCodiceFiscale(s []byte) bool {
	const digit, letter = 'd', 'l'
	const shape = "llllllddlddldddl"
	if len(s) != len(shape) {
		return false
	}
	sum := 0
	for i, c := range s {
		c = upper(c)
		isDigit := c >= '0' && c <= '9'
		switch {
		case shape[i] == letter && (c < 'A' || c > 'Z'), shape[i] == digit && !isDigit && omocodia[c] < 0:
			return false
		}
		v := int(c - 'A')
		if isDigit {
			v = int(c - '0')
		}
		switch {
		case i == 15:
			return sum%26 == v
		case i%2 == 0: // the first, third … character
			sum += int(oddValue[v])
		default:
			sum += v
		}
	}
	return false
}

var omocodia = values("LMNPQRSTUV")

// oddValue are the decree's values of 0 to 9, and of A to J alike, then of K to Z.
var oddValue = [26]byte{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// ibanLength is how long an IBAN of this country is (SWIFT's registry to ISO 13616), or 0.
func ibanLength(a, b byte) int { return ibanLengths[[2]byte{upper(a), upper(b)}] }

var ibanLengths = lengthsByCountry("15NO 16BE 18DKFIFKFOGLNLSD 19MKSI 20ATBAEEKZLTLUMNXK 21CHHRLILV 22BGBHCRDEGBGEIEMERSVA " +
	"23AEGIILIQOMSOTL 24ADCZESMDPKROSASESKTNVG 25LYPTST 26ISTR 27BIDJFRGRITMCMRSM 28ALAZBYCYDOGTHNHULBNIPLSV " +
	"29BREGPSQAUA 30JOKWMUYE 31MTSC 32LC 33RU")

func lengthsByCountry(table string) map[[2]byte]int {
	m := map[[2]byte]int{}
	n := 0
	for i := 0; i < len(table); i += 2 {
		if table[i] == ' ' {
			i++
		}
		if c := table[i]; c >= '0' && c <= '9' {
			n = number([]byte{c - '0', table[i+1] - '0'})
			continue
		}
		m[[2]byte{table[i], table[i+1]}] = n
	}
	return m
}

// mod97 is ISO 7064 MOD 97-10 over an IBAN without separators: its first four characters count last, letters as two
// digits.
func mod97(s []byte) bool {
	r := 0
	for i := range s {
		c := upper(s[(i+4)%len(s)])
		if c >= 'A' {
			r = (r*100 + int(c-'A') + 10) % 97
		} else {
			r = (r*10 + int(c-'0')) % 97
		}
	}
	return r == 1
}
