package lexicon

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// readDic reads LIWC's format of 2001, 2007 and 2015.
func (in *corpusReader) readDic(text string) error {
	names := map[int]string{} // category number -> name
	percent := 0
	in.liwc = true
	return eachLine(text, func(n int, line string) error {
		bare := strings.TrimSpace(line)
		switch {
		case bare == "":
		case isComment(line) && !strings.Contains(bare, "\t"):
			in.comments.add(n, bare)
		case bare == "%":
			percent++
		case percent == 1:
			return in.dicCategory(n, bare, names)
		case percent == 2:
			return in.dicWord(n, line, names)
		default:
			return fmt.Errorf("line %d: %q, wanted two lines of %% around the categories, then words", n, line)
		}
		return nil
	})
}

// dicCategory reads a number and a name.
func (in *corpusReader) dicCategory(n int, line string, names map[int]string) error {
	field, name := line, ""
	if i := strings.IndexFunc(line, unicode.IsSpace); i >= 0 {
		field, name = line[:i], strings.TrimSpace(line[i:])
	}
	number, err := strconv.Atoi(field)
	if err != nil || name == "" || strings.Contains(name, "\t") {
		return fmt.Errorf("line %d: %q, wanted a category's number, a tab and its name", n, line)
	}
	if old, ok := names[number]; ok {
		return fmt.Errorf("line %d: category %d is %s already", n, number, old)
	}
	if names[number] = name; !slices.Contains(in.Categories, name) {
		in.Categories = append(in.Categories, name)
	}
	return nil
}

var (
	dicField    = regexp.MustCompile(`(?:\([^()]*\)|<[^<>]*>)\s*[0-9/]+|\S+`)
	dicNumber   = regexp.MustCompile(`^[0-9]+$`)
	conditional = regexp.MustCompile(`^(?:\([^()]*\)|<[^<>]*>)\s*([0-9]+)(?:/([0-9]+))?$`)
	inBrackets  = regexp.MustCompile(`\([^()]*[\pL0-9][^()]*\)|<[^<>]*[\pL0-9][^<>]*>`)
)

// dicWord reads a word and the numbers of its categories.
func (in *corpusReader) dicWord(n int, line string, names map[int]string) error {
	word, numbers := dicSplit(line)
	var categories []string
	var conditions []string
	add := func(number string) error {
		i, err := strconv.Atoi(number)
		name, ok := names[i]
		switch {
		case err != nil || !ok:
			return fmt.Errorf("line %d: %s: category %q, wanted one of the numbers between the %% lines", n, word, number)
		case slices.Contains(categories, name):
			in.repeated.add(n, word)
		default:
			categories = append(categories, name)
		}
		return nil
	}
	for _, field := range numbers {
		if m := conditional.FindStringSubmatch(field); m != nil {
			conditions = append(conditions, field)
			if field = m[2]; field == "" {
				continue
			}
		}
		if err := add(field); err != nil {
			return err
		}
	}
	switch {
	case len(conditions) > 0 && len(categories) == 0:
		in.warn("line %d: %s: in a category only beside other words (%s), and left out, as words stand alone here", n, word, strings.Join(conditions, " "))
		return nil
	case len(conditions) > 0:
		in.warn("line %d: %s: categories that depend on the words beside it (%s); as words stand alone here, it is in %s", n, word, strings.Join(conditions, " "), strings.Join(categories, ", "))
	case len(categories) == 0:
		return fmt.Errorf("line %d: %q, wanted a word, tabs and the numbers of its categories", n, line)
	}
	if inBrackets.MatchString(word) {
		in.brackets.add(n, word)
	}
	in.add(word, categories, n)
	return nil
}

// dicSplit splits a line of a .dic file into the word and its fields. The first tab ends the
// word; without a tab, spaces do, and the numbers are the last fields. LIWC2007's conditions
// are part of the fields in both cases.
func dicSplit(line string) (word string, fields []string) {
	word, rest, tab := strings.Cut(strings.TrimSpace(line), "\t")
	word = strings.TrimSpace(word)
	at := dicField.FindAllStringIndex(word, -1)
	end := len(at)
	for end > 1 {
		field := word[at[end-1][0]:at[end-1][1]]
		if !conditional.MatchString(field) && (tab || !dicNumber.MatchString(field)) {
			break
		}
		end--
	}
	if end < len(at) {
		rest = word[at[end][0]:] + "\t" + rest
		word = strings.TrimSpace(word[:at[end][0]])
	}
	return word, dicField.FindAllString(rest, -1)
}
