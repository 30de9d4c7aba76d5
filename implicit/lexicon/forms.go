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

// Form is a template that spells an entry of a corpus as a reply, a surface form. It
// contains exactly one placeholder:
//
//	{}       the entry as in the corpus
//	{lower}  in lower case
//	{title}  in lower case, its first letter (or digit) in title case: "Freedom of speech"
//	{upper}  in upper case
//
// So " {title}" gives " Freedom" and "\"{}\"" puts the entry in quotes. The text around the
// placeholder is part of the reply, including spaces.
//
// Case conversion follows Unicode's full mappings (SpecialCasing.txt), independent of
// language: "straße" is "STRASSE" in upper case, "ΛΌΓΟΣ" is "λόγος" in lower case, "ǆ" is
// "ǅ" in title case, and scripts without case are unchanged. Turkish and Azeri, where i is
// the lower case of İ and ı that of I, are not treated specially: score such a corpus as
// written, with the spellings that are meant listed as entries.
type Form string

// The placeholders and their conversions.
var placeholders = []struct {
	name string
	of   func(string) string
}{
	{"{}", func(entry string) string { return entry }},
	{"{lower}", func(entry string) string { return cases.Lower(language.Und).String(entry) }},
	{"{title}", title},
	{"{upper}", func(entry string) string { return cases.Upper(language.Und).String(entry) }},
}

// AllForms returns the default surface forms: as written, lower, Capitalised and UPPER, each
// without and with a leading space. A reply begins without a space after a chat template's
// header and usually with one after a raw prompt, and a model asked for one word may write
// it in any case.
func AllForms() []Form {
	var all []Form
	for _, space := range []string{"", " "} {
		for _, p := range placeholders {
			all = append(all, Form(space+p.name))
		}
	}
	return all
}

// ParseForms parses a comma-separated list of forms, or "all". Spaces are significant. An
// empty list, a repeated form, and a form without exactly one placeholder are errors.
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

// CheckForms returns an error if a form is repeated or has not exactly one placeholder.
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

// placeholder returns the number of placeholders in a form, and for the last one its index
// in placeholders and its byte offset.
func (f Form) placeholder() (n, which, at int) {
	for i, p := range placeholders {
		if c := strings.Count(string(f), p.name); c > 0 {
			n, which, at = n+c, i, strings.Index(string(f), p.name)
		}
	}
	return n, which, at
}

// Of returns the entry in this form. A form without a placeholder gives the same text for
// every entry.
func (f Form) Of(entry string) string {
	n, which, at := f.placeholder()
	if n == 0 {
		return string(f)
	}
	p := placeholders[which]
	return string(f[:at]) + p.of(entry) + string(f[at+len(p.name):])
}

// title puts the first letter or digit of an entry in title case and the others in lower
// case, converting the whole string since lower case depends on context (final sigma).
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

// Spelling is a text in which an entry is scored, with the forms that produce it.
type Spelling struct {
	Text  string
	Forms []Form
}

// Spellings returns the distinct texts of an entry in the given forms, in their order. An
// empty entry has only itself.
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
