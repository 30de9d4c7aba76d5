package report

import "testing"

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"greatest_ever_one":         "greatest_ever_one",
		"_so_ __not__":              `\_so\_ \_\_not\_\_`,
		"<script>alert(7)</script>": "&lt;script&gt;alert(7)&lt;/script&gt;",
		"a & b &amp; c":             "a &amp; b &amp;amp; c",
		"[x](javascript:1) ![y]":    `\[x\](javascript:1) !\[y\]`,
		"a|b\n# c\r":                `a\|b\\n# c\\r`,
		"*a* `b` ~~c~~ $d$ \\":      "\\*a\\* \\`b\\` \\~\\~c\\~\\~ \\$d\\$ \\\\",
		"käse 🙂 5 - 3 (see 2.1)":    "käse 🙂 5 - 3 (see 2.1)",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q, wanted %q", text, got, want)
		}
	}
	if got := link("figures/a b(c)<d>&%.svg"); got != "figures/a%20b%28c%29%3Cd%3E&%25.svg" {
		t.Errorf("link %s", got)
	}
}
