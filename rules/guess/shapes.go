package guess

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules"
)

// shape is a look of values that is no proof of a single one, and so no detector, but tells where nearly all values of a place
// have it.
type shape struct {
	name     string
	category rules.Category
	rate     float64 // of values that have it, at least
	distinct int     // different ones, at least
	spread   int     // likewise, of what is tells beside
	is       func(text string) (ok bool, spread string)
	surely   func(text string) bool // true for a part of them, where nothing else looks so; nil: for all
}

var shapes = []shape{
	{"chinese name", "person.name", 0.9, 5, 3, isChineseName, nil},
	{"latin name", "person.name", 0.9, 5, 3, isLatinName, isGivenName},
	{"chinese address", "contact.address", 0.8, 3, 1, looksLike(`(省|市|自治区|区|县|镇|乡).*(路|街|道|巷|弄|号|村|栋|室|幢)`), nil},
	{"street address", "contact.address", 0.8, 3, 1, looksLike(`(?i)^(\d+[a-z]?,? .*\b(street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr)\b|(via|viale|piazza|corso|rue|calle) .*\d|[a-zäöüß.-]*(straße|strasse|str\.|weg|platz) \d+)`), nil},
	{"telephone number", "contact.phone", 0.9, 3, 1, looksLike(`^(0\d{2,3}-\d{7,8}|\(\d{3}\) ?\d{3}-\d{4}|\+\d{1,3}[ -]\d[\d -]{6,12}\d)$`), nil},
	{"gender", "person.gender", 1, 2, 2, isGender, nil},
	{"birthday", "person.birth", 0.9, 8, 12, isBirthday, nil},
	{"month and year", "card.expiry", 0.9, 3, 2, looksLike(`^(0[1-9]|1[0-2])/(2\d|3\d)$`), nil},
	{"degrees", "location.precise", 0.9, 3, 1, looksLike(`^-?\d{1,3}\.\d{4,}, ?-?\d{1,3}\.\d{4,}$`), nil},
	{"openid", "financial.account", 1, 3, 3, looksLike(`^o[A-Za-z0-9_-]{27}$`), nil},
	{"meid", "device.meid", 1, 8, 1, looksLike(`^[A-Fa-f][0-9A-Fa-f]{13}$`), nil}, // 3GPP2 S.R0048: the first digit is A or greater
	{"ethnic group", "special.ethnicity", 0.9, 2, 2, isEthnicGroup, nil},
}

// looksLike makes a shape of an expression. What it tells beside is the text itself.
func looksLike(expression string) func(string) (bool, string) {
	compiled := regexp.MustCompile(expression)
	return func(text string) (bool, string) { return len(text) <= 200 && compiled.MatchString(text), text }
}

// surnames are those of most people in China (Ministry of Public Security, 2020), and those of two characters.
const surnames = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文肖闫"

var longSurnames = []string{"欧阳", "上官", "司马", "诸葛", "夏侯", "皇甫", "尉迟", "令狐", "慕容", "司徒", "端木", "东方"}

func isChineseName(text string) (bool, string) {
	n := utf8.RuneCountInString(text)
	if n < 2 || n > 4 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.Is(unicode.Han, r) }) {
		return false, ""
	}
	first, _ := utf8.DecodeRuneInString(text)
	long := slices.ContainsFunc(longSurnames, func(s string) bool { return strings.HasPrefix(text, s) })
	return n <= 3 && strings.ContainsRune(surnames, first) || n >= 3 && long, string(first)
}

// givenNames are common ones of several languages. Capitalised words are people only if many begin or end with one of them.
var givenNames = strings.Fields(`james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony
	mark paul steven andrew kevin brian george edward mary patricia jennifer linda elizabeth barbara susan jessica sarah karen nancy lisa
	margaret sandra ashley emily emma olivia sophia anna maria laura julia alice clara jane helen ruth grace marco luca giulia
	francesca paolo giovanni mario luigi giuseppe chiara sofia elena hans peter klaus jürgen stefan andreas thomas sabine petra
	jean pierre marie claire jacques luis carlos jose juan ana carmen pedro miguel wei ming li na jing fang lei tao yan hui min`)

func isLatinName(text string) (bool, string) {
	words := strings.Fields(text)
	if len(words) < 2 || len(words) > 3 {
		return false, ""
	}
	for _, word := range words {
		first, size := utf8.DecodeRuneInString(word)
		if size == len(word) || !unicode.IsUpper(first) || strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' }) {
			return false, ""
		}
	}
	return true, words[0]
}

// isGivenName reports whether the first or the last word is one of givenNames.
func isGivenName(text string) bool {
	words := strings.Fields(strings.ToLower(text))
	return slices.Contains(givenNames, words[0]) || slices.Contains(givenNames, words[len(words)-1])
}

func isGender(text string) (bool, string) {
	folded := strings.ToLower(text)
	return slices.Contains([]string{"m", "f", "male", "female", "男", "女", "maschio", "femmina", "diverse", "nonbinary", "x"}, folded), folded
}

var birthday = regexp.MustCompile(`^((?:19[2-9]|20[0-2])\d)([-/.]?)(0[1-9]|1[0-2])([-/.]?)(0[1-9]|[12]\d|3[01])$`)

// isBirthday knows a day. What tells it from the day of an order is how many years there are.
func isBirthday(text string) (bool, string) {
	m := birthday.FindStringSubmatch(text)
	if m == nil || m[2] != m[4] {
		return false, ""
	}
	return true, m[1]
}

// ethnicGroups are the peoples of GB/T 3304.
var ethnicGroups = strings.Fields(`汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇 柯尔克孜 土 达斡尔
	仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京 塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺`)

func isEthnicGroup(text string) (bool, string) {
	name, ok := strings.CutSuffix(text, "族")
	return ok && slices.Contains(ethnicGroups, name), name
}
