package plot

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The page and the ink of the dark scheme, those of the report's page.
const (
	night     Color = 0x14181D
	moonlight Color = 0xE3E7EC
)

var (
	styles = regexp.MustCompile(`style="[^"]*"`) // in text a quotation mark is escaped
	inks   = regexp.MustCompile(`#[0-9A-Fa-f]{6}`)
)

// BothSchemes makes an SVG of WriteSVG follow the colour scheme of its reader, for a page that
// does so too: light as it was, or dark, on a page of colour #14181D. It needs a browser.
func BothSchemes(svg []byte) []byte {
	s := strings.Replace(string(svg), `<rect width="100%" height="100%" fill="#FFFFFF"/>`, `<rect width="100%" height="100%" style="fill:#FFFFFF"/>`, 1)
	var used []Color
	s = styles.ReplaceAllStringFunc(s, func(style string) string {
		return inks.ReplaceAllStringFunc(style, func(ink string) string {
			v, _ := strconv.ParseUint(ink[1:], 16, 32) // six digits
			if c := Color(v); !slices.Contains(used, c) {
				used = append(used, c)
			}
			return fmt.Sprintf("var(--c%06X)", v)
		})
	})
	slices.Sort(used)
	light, dark := "", ""
	for _, c := range used {
		light += fmt.Sprintf("--c%06X:#%06X;", c, c)
		dark += fmt.Sprintf("--c%06X:#%06X;", c, c.atNight())
	}
	rules := fmt.Sprintf("<style>svg{%s}@media (prefers-color-scheme:dark){svg{%sfill:#%06X}}</style>\n", light, dark, moonlight)
	end := strings.Index(s, ">\n<")            // of the XML declaration
	end += strings.Index(s[end:], "<svg")      // the root
	end += strings.IndexByte(s[end:], '>') + 2 // behind it and its line end
	return []byte(s[:end] + rules + s[end:])
}

// atNight returns the colour that stands for c on a dark page. White and black change
// places, and the greys between them. Colours keep their hue, and become light enough to stand
// out as they do from white, and to be read as text (contrast 4.5 to 1, WCAG 2, AA).
func (c Color) atNight() Color {
	r, g, b := int(c>>16&255), int(c>>8&255), int(c&255)
	if high, low := max(r, g, b), min(r, g, b); high-low <= 8 {
		return night.mix(moonlight, min(1, float64(0xFF-high)/float64(0xFF-ink&0xFF)))
	}
	want := max(4.5, contrast(c, white))
	for contrast(c, night) < want {
		c = c.mix(white, 0.05)
	}
	return c
}

// contrast is that of WCAG 2, from 1 to 21.
func contrast(a, b Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
