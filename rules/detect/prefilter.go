package detect

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// shortest is the fewest bytes that anything found has: 1.23, where a name speaks of places.
const shortest = 4

// mayHold reports whether a text may hold anything that a detector finds. It runs over every undeclared string of every
// body, so it reads eight bytes at a time and asks for what all hits have in common: an @, three digits or colons, five
// dashes, or a digit beyond ASCII.
func mayHold(text []byte) bool {
	if len(text) < shortest {
		return false
	}
	digits, wide := 0, uint64(0)
	for i := 0; ; i += 8 {
		var x uint64
		switch left := len(text) - i; {
		case left >= 8:
			x = binary.LittleEndian.Uint64(text[i:])
		case left <= 0:
			return wide != 0 && mayBeWide(text) || len(text) >= 17 && bytes.Count(text, dash) >= 5
		case len(text) >= 8: // the last eight bytes, without those that were counted
			x = binary.LittleEndian.Uint64(text[len(text)-8:]) >> (8 * (8 - left))
		default:
			x = uint64(binary.LittleEndian.Uint32(text)) | uint64(binary.LittleEndian.Uint32(text[len(text)-4:]))<<(8*(len(text)-4))
		}
		wide |= x & tops
		digits += bits.OnesCount64(below(x^zeros, 11))
		if digits >= 3 || below(x^ats, 1) != 0 {
			return true
		}
	}
}

const (
	ones  = 0x0101010101010101
	tops  = 0x80 * ones
	zeros = '0' * ones // x^zeros is below eleven for '0' to '9' and for ':'
	ats   = '@' * ones
)

// below sets the top bit of each byte that is less than n.
func below(x, n uint64) uint64 { return ^(x&^tops + (0x80-n)*ones | x) & tops }

var dash = []byte("-")

func mayBeWide(text []byte) bool {
	for _, c := range text {
		if classes[c] == classWide {
			return true
		}
	}
	return false
}
