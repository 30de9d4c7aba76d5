package tokenize

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder is the decoder of a tokenizer.json: steps that each turn the pieces of a text into
// pieces. It reimplements that of the tokenizers library, whose binding loses texts with a
// NUL byte and can end the process on a bad file.
type decoder struct {
	steps []func([]string) []string
	// bytes returns what a vocabulary entry, or an added token, stands for inside a text; it
	// is nil if the steps are not of the two usual kinds.
	bytes func(name string, added bool) []byte
}

func (s *spec) decoder() (*decoder, error) {
	parts, err := flatten("decoder", s.Decoder, nil)
	if err != nil {
		return nil, err
	}
	d := &decoder{}
	var types []string
	for _, p := range parts {
		step, err := p.decoderStep()
		if err != nil {
			return nil, fmt.Errorf("decoder: %w", err)
		}
		types, d.steps = append(types, p.Type), append(d.steps, step)
	}
	sentencePiece := []string{"Replace", "ByteFallback", "Fuse"} // and mostly a Strip after them
	switch {
	case slices.Equal(types, []string{"ByteLevel"}):
		d.bytes = func(name string, added bool) []byte {
			if added {
				return []byte(name)
			}
			return byteLevel(name)
		}
	case len(types) >= 3 && slices.Equal(types[:3], sentencePiece):
		from, to := *parts[0].Pattern.String, parts[0].Content
		d.bytes = func(name string, _ bool) []byte {
			if b, ok := byteToken(name); ok {
				return []byte{b}
			}
			return []byte(strings.ReplaceAll(name, from, to))
		}
	}
	return d, nil
}

// decoderStep is what a part of the decoder does to the pieces of a text.
func (p part) decoderStep() (func([]string) []string, error) {
	switch p.Type {
	case "ByteLevel":
		return byteLevelStep, nil
	case "ByteFallback":
		return byteFallbackStep, nil
	case "Fuse":
		return func(in []string) []string { return []string{strings.Join(in, "")} }, nil
	case "Replace":
		if p.Pattern.String == nil || *p.Pattern.String == "" {
			return nil, fmt.Errorf("%s: a pattern that is not a string", p.Type)
		}
		return each(func(_ int, s string) string { return strings.ReplaceAll(s, *p.Pattern.String, p.Content) }), nil
	case "Strip":
		if utf8.RuneCountInString(p.Content) != 1 {
			return nil, fmt.Errorf("%s: content %q, wanted one character", p.Type, p.Content)
		}
		return each(func(_ int, s string) string { return p.strip(s) }), nil
	case "Metaspace":
		prepends := (p.PrependScheme == nil || *p.PrependScheme != "never") && (p.AddPrefix == nil || *p.AddPrefix)
		return each(func(i int, s string) string {
			with := " "
			if i == 0 && prepends {
				with = ""
			}
			return strings.ReplaceAll(s, p.Replacement, with)
		}), nil
	}
	return nil, fmt.Errorf("type %q is not supported", p.Type)
}

// strip takes Content away up to Start times from the front of s, and up to Stop times
// from its end.
func (p part) strip(s string) string {
	for n := 0; n < p.Start && strings.HasPrefix(s, p.Content); n++ {
		s = s[len(p.Content):]
	}
	for n := 0; n < p.Stop && strings.HasSuffix(s, p.Content); n++ {
		s = s[:len(s)-len(p.Content)]
	}
	return s
}

// decode joins pieces as the library does; without a decoder it joins them by spaces.
func (d *decoder) decode(names []string) string {
	if len(d.steps) == 0 {
		return strings.Join(names, " ")
	}
	for _, step := range d.steps {
		names = step(names)
	}
	return strings.Join(names, "")
}

func each(f func(i int, s string) string) func([]string) []string {
	return func(in []string) []string {
		out := make([]string, len(in))
		for i, s := range in {
			out[i] = f(i, s)
		}
		return out
	}
}

// byteLevel returns the bytes that a name of a byte-level vocabulary stands for; a name with
// characters outside the byte alphabet stands for itself.
func byteLevel(name string) []byte {
	out := make([]byte, 0, len(name))
	for _, c := range name {
		b, ok := byteOf(c)
		if !ok {
			return []byte(name)
		}
		out = append(out, b)
	}
	return out
}

// byteOf is the inverse of GPT-2's byte-level alphabet: printable bytes are themselves, the
// others U+0100 and up in order.
func byteOf(c rune) (byte, bool) {
	switch {
	case c >= '!' && c <= '~', c >= 0xa1 && c <= 0xac, c >= 0xae && c <= 0xff:
		return byte(c), true
	case c >= 0x100 && c <= 0x120:
		return byte(c - 0x100), true // 0x00 to 0x20
	case c >= 0x121 && c <= 0x142:
		return byte(c - 0x121 + 0x7f), true // 0x7f to 0xa0
	case c == 0x143:
		return 0xad, true
	}
	return 0, false
}

func byteLevelStep(in []string) []string {
	var all []byte
	for _, name := range in {
		all = append(all, byteLevel(name)...)
	}
	return []string{lossy(all)}
}

// byteToken returns the byte of a name such as <0x0A>.
func byteToken(name string) (byte, bool) {
	if len(name) != 6 || !strings.HasPrefix(name, "<0x") || name[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(name[3:5], 16, 8)
	return byte(b), err == nil
}

// byteFallbackStep joins runs of byte tokens: valid UTF-8 as text, else one U+FFFD for each
// token.
func byteFallbackStep(in []string) []string {
	var out []string
	var run []byte
	flush := func() {
		if utf8.Valid(run) && len(run) > 0 {
			out = append(out, string(run))
		} else {
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, s := range in {
		if b, ok := byteToken(s); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, s)
	}
	flush()
	return out
}

// lossy decodes UTF-8 as Rust's from_utf8_lossy and the Encoding Standard do: one U+FFFD for
// each maximal part of an invalid sequence.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c != utf8.RuneError || n > 1 {
			out.WriteRune(c)
			b = b[n:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		b = b[broken(b):]
	}
	return out.String()
}

// broken returns the length of the longest prefix of b that could begin a character, at
// least 1; b does not begin with a whole character.
func broken(b []byte) int {
	low, high, need := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 1
	case c >= 0xe0 && c <= 0xef:
		need = 2
		if c == 0xe0 {
			low = 0xa0
		} else if c == 0xed {
			high = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 3
		if c == 0xf0 {
			low = 0x90
		} else if c == 0xf4 {
			high = 0x8f
		}
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= low && b[n] <= high {
		n++
		low, high = 0x80, 0xbf
	}
	return n
}
