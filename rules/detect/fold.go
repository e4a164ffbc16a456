package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Tokens is a folded name: its words in lower case, without what only looks different.
type Tokens []string

// String returns the tokens, joined: two declared names with the same are the same name.
func (t Tokens) String() string { return strings.Join(t, "") }

// maxTokens bounds the work that one name can ask for. Of a longer name the first half of them and the last one count.
const maxTokens = 128

// Fold splits a name into its tokens: at separators, at camelCase, before and after digits; a Han character is a token of
// its own, for Chinese is written without spaces.
func Fold(name []byte) Tokens {
	letters := visible(name)
	var tokens Tokens
	var token []rune
	for i, r := range letters {
		if len(token) > 0 && (r == separator || startsToken(letters, i)) {
			tokens, token = append(tokens, string(token)), token[:0]
		}
		if r != separator {
			token = append(token, plain(r))
		}
	}
	if len(token) > 0 {
		tokens = append(tokens, string(token))
	}
	if len(tokens) > maxTokens {
		tokens = append(tokens[:maxTokens/2], tokens[len(tokens)-maxTokens/2:]...)
	}
	return tokens
}

// separator stands for any rune that is neither letter nor digit.
const separator = 0

// visible returns the letters and digits of a name, compatibility forms and marks undone (Unicode's NFKD, so that an
// accent becomes a mark of its own and goes), without the characters that nobody sees.
func visible(name []byte) []rune {
	if !isASCII(name) {
		name = norm.NFKD.Bytes(name)
	}
	letters := make([]rune, 0, len(name))
	for len(name) > 0 {
		r, n := utf8.DecodeRune(name)
		name = name[n:]
		switch {
		case unicode.IsLetter(r) && r != hangulFiller && r != hangulChoseong:
			letters = append(letters, r)
		case boxed(r) != 0:
			letters = append(letters, boxed(r))
		case unicode.IsDigit(r):
			letters = append(letters, '0'+rune(digitValue(r)))
		case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Mn, unicode.Me), r == hangulFiller, r == hangulChoseong:
		default:
			letters = append(letters, separator)
		}
	}
	return letters
}

// boxed returns the letter that stands in a black circle or square, or is half of a flag, or 0: Unicode has no
// compatibility form for those.
func boxed(r rune) rune {
	for _, a := range [...]rune{'🅐', '🅰', '🇦'} {
		if r >= a && r < a+26 {
			return 'a' + r - a
		}
	}
	return 0
}

// The Hangul fillers are letters that show nothing.
const (
	hangulChoseong = '\u115f'
	hangulFiller   = '\u1160'
)

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// startsToken reports whether a token starts at i > 0.
func startsToken(letters []rune, i int) bool {
	before, r := letters[i-1], letters[i]
	switch {
	case before == separator, unicode.Is(unicode.Han, r), unicode.Is(unicode.Han, before):
		return true
	case unicode.IsDigit(r) != unicode.IsDigit(before):
		return true
	case !unicode.IsUpper(r):
		return false
	case !unicode.IsUpper(before):
		return true
	}
	// An acronym ends before its last capital where a small letter follows: ID|Card. The s of a plural is none: IDs.
	if i+1 == len(letters) || !unicode.IsLower(letters[i+1]) {
		return false
	}
	plural := letters[i+1] == 's' && (i+2 == len(letters) || !unicode.IsLower(letters[i+2]))
	return !plural
}

func plain(r rune) rune {
	r = unicode.ToLower(r)
	if r < utf8.RuneSelf {
		return r
	}
	if latin, ok := lookAlikes[r]; ok {
		return latin
	}
	return r
}

// lookAlikes are small letters that readers, or their capitals, take for Latin ones. Declared names are folded too, so a
// name that is truly Cyrillic still equals itself.
var lookAlikes = pairs(
	"аaвbгrеeѕsіiјjкkмmнhоoрpсcтtуyхxԁdԍgԛqԝwһhӏlүyѵvпnиnҽeҿeѡwьbїiєeґr" + // Cyrillic
		"αaβbεeζzηhιiκkμmνnοoρpτtυyχxγyσoωwςsϲcϳj" + // Greek
		"օoսuհhոnռnցgգqզqւlյjքp" + // Armenian
		"ıiɑaɡgɪiłløođdᴀaʙbᴄcᴅdᴇeꜰfɢgʜhᴊjᴋkʟlᴍmɴnᴏoᴘpꞯqʀrꜱsᴛtᴜuᴠvᴡwʏyᴢz" + // Latin, and its small capitals
		"ɓbɖdɗdəeǝeɛeƒfɠgɦhħhɨiɩiʝjɉjƙkɫlɭlɱmŋnɲnɳnɵoƥpʠqɾrɽrʂsƭtʈtŧtʉuʋvⱳwƴyƶzʐzʑz" + // with a hook or a stroke
		"ᥲaᥱeᥙuᥒnꓐBꓑPꓒdꓓDꓔTꓖGꓗKꓙJꓚCꓜZꓝFꓟMꓠNꓡLꓢSꓣRꓦVꓧHꓪWꓫXꓬYꓮAꓰEꓲIꓳOꓴU" + // Tai Le, Lisu
		"ᎠDᎡRᎢTᎥiᎪAᎫJᎬEᎳWᎷMᎻHᏀGᏃZᏚSᏞLᏟCᏢPᏦKᏴBᏙVᏔWᏒR" + "ⲞoⲢpⲤcⲚnⲘmⲔkⲒiⲎhⲈeⲦtⲬxⲨyⲀaⲂb", // Cherokee, Coptic
)

func pairs(s string) map[rune]rune {
	m := map[rune]rune{}
	var odd rune
	for _, r := range s {
		if odd == 0 {
			odd = r
			continue
		}
		m[unicode.ToLower(odd)], odd = unicode.ToLower(r), 0
	}
	return m
}

// digitValue returns the value of a decimal digit of any script: Unicode encodes each script's digits in order, from a
// zero whose code point's successor ranges start at.
func digitValue(r rune) byte {
	if r < utf8.RuneSelf {
		return byte(r - '0')
	}
	if r >= '𝟎' && r <= '𝟿' {
		return byte((r - '𝟎') % 10) // five alphabets of them, one behind the other
	}
	zero := r
	for unicode.IsDigit(zero-1) && r-zero < 9 {
		zero--
	}
	return byte(r - zero)
}
