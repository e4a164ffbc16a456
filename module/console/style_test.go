package console

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast: what is written can be read, in the light and in the dark (WCAG 2.2, 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	css := string(assets[hashed["console.css"]].Data)
	light, dark, found := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("there is no dark theme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	for theme, text := range map[string]string{"light": light, "dark": dark} {
		color := make(map[string]string)
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			color[m[1]] = m[2]
		}
		for _, pair := range []struct {
			on, under string
			least     float64
		}{
			{"ink", "page", 7}, {"ink", "card", 7}, {"soft", "page", 4.5}, {"soft", "card", 4.5}, {"accent", "page", 4.5}, {"accent", "card", 4.5},
			{"accent-ink", "accent", 4.5}, {"ink", "accent-wash", 4.5}, {"bad", "bad-wash", 4.5}, {"bad", "page", 4.5}, {"warn", "warn-wash", 4.5},
			{"good", "good-wash", 4.5}, {"keep", "keep-wash", 4.5}, {"mask", "mask-wash", 4.5}, {"pseudonymize", "pseudonymize-wash", 4.5},
			{"blank", "blank-wash", 4.5}, {"block", "block-wash", 4.5}, {"quiet", "card", 3}, {"changed", "card", 3}, {"bad", "card", 3}, {"good", "card", 3},
		} {
			if color[pair.on] == "" || color[pair.under] == "" {
				t.Fatalf("%s: there is no %s or no %s", theme, pair.on, pair.under)
			}
			if got := contrast(color[pair.on], color[pair.under]); got < pair.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", theme, pair.on, pair.under, got, pair.least)
			}
		}
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(hex string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestStyleIsOurs: nothing is fetched from anywhere, and motion asks first.
func TestStyleIsOurs(t *testing.T) {
	for name, file := range assets {
		text := strings.ReplaceAll(string(file.Data), "http://www.w3.org/2000/svg", "")
		for _, foreign := range []string{"http:", "https:", "@import", "url(", "eval(", "innerHTML ="} {
			if strings.Contains(text, foreign) {
				t.Errorf("%s has %q", name, foreign)
			}
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
