package lexicon

import (
	"slices"
	"strings"
	"testing"
)

// TestForms: every placeholder over scripts with and without case. The mappings are
// Unicode's SpecialCasing.txt.
func TestForms(t *testing.T) {
	for _, test := range []struct{ entry, lower, title, upper string }{
		{"freedom", "freedom", "Freedom", "FREEDOM"},
		{"Freedom of Speech", "freedom of speech", "Freedom of speech", "FREEDOM OF SPEECH"},
		{"USA", "usa", "Usa", "USA"},
		{"straße", "straße", "Straße", "STRASSE"},
		{"ßa", "ßa", "Ssa", "SSA"},
		{"ΛΌΓΟΣ", "λόγος", "Λόγος", "ΛΌΓΟΣ"}, // a final sigma
		{"ΑΣ", "ας", "Ας", "ΑΣ"},
		{"ǆep", "ǆep", "ǅep", "ǄEP"},
		{"ﬁn", "ﬁn", "Fin", "FIN"},
		{"ılık", "ılık", "Ilık", "ILIK"}, // not taken for Turkish: I's small letter is then i
		{"İzmir", "i̇zmir", "İzmir", "İZMIR"},
		{"e\u0301lan", "e\u0301lan", "E\u0301lan", "E\u0301LAN"},
		{"élan", "élan", "Élan", "ÉLAN"},
		{"'tis", "'tis", "'Tis", "'TIS"},
		{"1st", "1st", "1st", "1ST"},
		{"自由", "自由", "自由", "自由"},
		{"حرية", "حرية", "حرية", "حرية"},
		{"თავისუფლება", "თავისუფლება", "თავისუფლება", "ᲗᲐᲕᲘᲡᲣᲤᲚᲔᲑᲐ"}, // Georgian has capitals, but no title case
		{"…", "…", "…", "…"},
		{"", "", "", ""},
	} {
		for form, want := range map[Form]string{"{}": test.entry, "{lower}": test.lower, "{title}": test.title, "{upper}": test.upper} {
			if got := form.Of(test.entry); got != want {
				t.Errorf("%s of %q is %q, wanted %q", form, test.entry, got, want)
			}
			if got := (`say "` + form + `."`).Of(test.entry); got != `say "`+want+`."` {
				t.Errorf("%s of %q in quotes is %q", form, test.entry, got)
			}
		}
	}
	if got := Form("no placeholder").Of("x"); got != "no placeholder" {
		t.Errorf("a form without a placeholder gives %q", got)
	}
}

// TestSpellings: a text counts once, with all the forms that write it.
func TestSpellings(t *testing.T) {
	for entry, want := range map[string][]string{
		"love":  {"love", "Love", "LOVE", " love", " Love", " LOVE"},
		"Love":  {"Love", "love", "LOVE", " Love", " love", " LOVE"},
		"lOVe":  {"lOVe", "love", "Love", "LOVE", " lOVe", " love", " Love", " LOVE"},
		"I":     {"I", "i", " I", " i"},
		"自由":    {"自由", " 自由"},
		"a b":   {"a b", "A b", "A B", " a b", " A b", " A B"},
		" ":     {" ", "  "},
		"":      {""},
		"24/7":  {"24/7", " 24/7"},
		" love": {" love", " Love", " LOVE", "  love", "  Love", "  LOVE"},
	} {
		var got []string
		forms := 0
		for _, s := range Spellings(entry, AllForms()) {
			got = append(got, s.Text)
			forms += len(s.Forms)
		}
		if !slices.Equal(got, want) || entry != "" && forms != 8 {
			t.Errorf("%q: %q of %d forms, wanted %q of 8", entry, got, forms, want)
		}
	}
}

func TestParseForms(t *testing.T) {
	all, err := ParseForms("all")
	if err != nil || len(all) != 8 || strings.Join(strings.Fields(string(all[7])), "") != "{upper}" {
		t.Errorf("all: %q, %v", all, err)
	}
	if got, err := ParseForms("{}, {title},\"{upper}\""); err != nil || !slices.Equal(got, []Form{"{}", " {title}", `"{upper}"`}) {
		t.Errorf("%q, %v", got, err)
	}
	for list, want := range map[string]string{
		"":          `lexicon: form "", wanted one of {}, {lower}, {title}, {upper} in it, where the word goes`,
		"word":      `lexicon: form "word", wanted one of`,
		"{},":       `lexicon: form "", wanted one of`,
		"{} {}":     `lexicon: form "{} {}", wanted one of`,
		"{}{lower}": `lexicon: form "{}{lower}", wanted one of`,
		"{Lower}":   `lexicon: form "{Lower}", wanted one of`,
		"{},{}":     `lexicon: form "{}" stands twice, wanted each once`,
		"all,{}":    `lexicon: form "all", wanted one of`,
	} {
		if _, err := ParseForms(list); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, wanted %q", list, err, want)
		}
	}
}

// FuzzForms: no entry makes two spellings the same, and the case forms undo each other
// as far as they should.
func FuzzForms(f *testing.F) {
	for _, s := range []string{"love", "straße", "ΑΣ", "ǆ", "'tis", "a b", "", "\xff", "İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		all := Spellings(entry, AllForms())
		for i, s := range all {
			for _, other := range all[:i] {
				if s.Text == other.Text {
					t.Errorf("%q twice for %q", s.Text, entry)
				}
			}
		}
		if lower := Form("{lower}").Of(entry); Form("{lower}").Of(lower) != lower {
			t.Errorf("the lower case %q of %q is not in lower case", lower, entry)
		}
	})
}
