package lexicon

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Form is a way to write an entry of a corpus as a reply: a text with one placeholder,
//
//	{}       the entry as the corpus has it
//	{lower}  in lower case
//	{title}  in lower case, its first letter (or digit) in title case: "Freedom of speech"
//	{upper}  in upper case
//
// so that " {title}" is " Freedom" and "\"{}\"" puts the entry in quotes. What stands
// around the placeholder is part of the reply, to the last space.
//
// Case follows Unicode's full mappings (SpecialCasing.txt) in no particular language:
// "straße" is "STRASSE" in upper case, "ΛΌΓΟΣ" is "λόγος" in lower case, "ǆ" is "ǅ" in
// title case, and scripts without case stay as they are. Turkish and Azeri, where i is
// the small letter of İ and ı that of I, are not treated apart: a corpus in them had
// better be scored as written, with the forms that it means listed as entries.
type Form string

// The placeholders, and what each makes of an entry.
var placeholders = []struct {
	name string
	of   func(string) string
}{
	{"{}", func(entry string) string { return entry }},
	{"{lower}", func(entry string) string { return cases.Lower(language.Und).String(entry) }},
	{"{title}", title},
	{"{upper}", func(entry string) string { return cases.Upper(language.Und).String(entry) }},
}

// AllForms returns the surface forms in which an entry is scored by default: as written,
// lower, Capitalised and UPPER, each without and with a space before it. After a chat
// template's header a reply begins without a space, after a raw prompt mostly with one;
// and a model that is asked for one word may write it in any case.
func AllForms() []Form {
	var all []Form
	for _, space := range []string{"", " "} {
		for _, p := range placeholders {
			all = append(all, Form(space+p.name))
		}
	}
	return all
}

// ParseForms reads a list of forms, separated by commas, or "all". Spaces count. No
// form, a form twice, and a form without exactly one placeholder are errors.
func ParseForms(list string) ([]Form, error) {
	if list == "all" {
		return AllForms(), nil
	}
	var forms []Form
	for text := range strings.SplitSeq(list, ",") {
		forms = append(forms, Form(text))
	}
	return forms, CheckForms(forms)
}

// CheckForms returns an error if a form has not exactly one placeholder, or is repeated.
func CheckForms(forms []Form) error {
	for i, f := range forms {
		if n, _, _ := f.placeholder(); n != 1 {
			return fmt.Errorf("lexicon: form %q, wanted one of {}, {lower}, {title}, {upper} in it, where the word goes", string(f))
		}
		if slices.Contains(forms[:i], f) {
			return fmt.Errorf("lexicon: form %q stands twice, wanted each once", string(f))
		}
	}
	return nil
}

// placeholder returns how many placeholders a form has, the number of the last and the
// byte where it begins.
func (f Form) placeholder() (n, which, at int) {
	for i, p := range placeholders {
		if c := strings.Count(string(f), p.name); c > 0 {
			n, which, at = n+c, i, strings.Index(string(f), p.name)
		}
	}
	return n, which, at
}

// Of returns the entry in this form. A form without a placeholder is a text of its own,
// the same for every entry.
func (f Form) Of(entry string) string {
	n, which, at := f.placeholder()
	if n == 0 {
		return string(f)
	}
	p := placeholders[which]
	return string(f[:at]) + p.of(entry) + string(f[at+len(p.name):])
}

// title puts the first letter or digit of an entry in title case and the rest in lower
// case. Lower case depends on the neighbours (final sigma), so it is taken of the whole.
func title(entry string) string {
	at := strings.IndexFunc(entry, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	lower := cases.Lower(language.Und)
	if at < 0 {
		return lower.String(entry)
	}
	_, size := utf8.DecodeRuneInString(entry[at:])
	first := entry[at : at+size]
	head := entry[:at]
	rest := strings.TrimPrefix(lower.String(entry), lower.String(head)+lower.String(first))
	return head + cases.Title(language.Und, cases.NoLower).String(first) + rest
}

// spelling is a text in which an entry is scored, and the forms that write it so.
type Spelling struct {
	Text  string
	Forms []Form
}

// spellings returns the different texts of an entry in the given forms, in their order.
// An entry without text has none in any form, but itself.
func Spellings(entry string, forms []Form) []Spelling {
	if entry == "" {
		return []Spelling{{}}
	}
	var all []Spelling
	for _, f := range forms {
		text := f.Of(entry)
		if i := slices.IndexFunc(all, func(s Spelling) bool { return s.Text == text }); i >= 0 {
			all[i].Forms = append(all[i].Forms, f)
		} else {
			all = append(all, Spelling{text, []Form{f}})
		}
	}
	return all
}
