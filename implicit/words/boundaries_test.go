package words

import "testing"

func TestEndsWord(t *testing.T) {
	for text, want := range map[string]bool{
		// A word goes on.
		"dom": false, "DOM": false, "é": false, "\u0301": false, "7": false, "²": false, "自": false, "ة": false, "\u200dx": false, "\u200c": false, "\u00ad": false,
		"'s": false, "\u2019t": false, "'": false, "-": false, "-being": false, "\u2011b": false, "_": false, "_x": false, "-2": false,
		// It is over.
		" ": true, " dom": true, "\n": true, "\n\n": true, "\t": true, "\u00a0": true, "\u3000": true, ".": true, ".com": true, ",": true, "!": true, "/": true,
		"--": true, "'.": true, "' ": true, "''": true, "-\n": true, "_*": true, "\u2014": true, "\u201d": true, "。": true, "、": true, "**": true, "🎉": true, "€": true, "<|x|>": true,
		// Parts of characters: what most that begin so are.
		"\xc3":     false, // é and its like
		"\xe4\xb8": false, "\xe8": false, "\xd8": false,
		"\xe2\x80": true,                       // dashes, quotation marks, spaces
		"\xf0\x9f": true, "\xf0\x9f\x8e": true, // emoji
		// Bytes that begin no character, and nothing.
		"\x80": false, "\xff": false, "\xc0": false, "\xa9s": false, "\xf5": false,
		"": false,
	} {
		if got := IsBoundary([]byte(text)); got != want {
			t.Errorf("%q: %v, wanted %v", text, got, want)
		}
	}
	for _, text := range []string{"\xe2A", "\xe2\x82A", "\xe2\x82\x41", "\xf0\x9f ", "\xed\xa0", "\xed\xa0\x80", "\xf4\x90"} {
		if IsBoundary([]byte(text)) {
			t.Errorf("%q, which no text holds, ends a word", text)
		}
	}
}

func FuzzEndsWord(f *testing.F) {
	for _, s := range []string{"", "a", " a", "'s", "\xe2\x80", "\xf0", "-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		// What follows the first two characters counts for nothing.
		if len(text) > 8 && IsBoundary(text) != IsBoundary(text[:8]) {
			t.Errorf("%q", text)
		}
	})
}
