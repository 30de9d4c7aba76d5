package lexicon

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readList reads a plain list.
func (in *corpusReader) readList(text string) error {
	if err := checkList(text); err != nil {
		return err
	}
	return eachLine(text, func(n int, line string) error {
		word := strings.TrimSpace(line)
		switch {
		case word == "":
		case isComment(word):
			in.comments.add(n, word)
		case strings.ContainsAny(word, ",\"\t"):
			return fmt.Errorf("line %d: %q, wanted one word a line, or CSV with the header Category,token_decoded or DicTerm and one column a category", n, line)
		default:
			if word[0] == '#' {
				in.hashtags.add(n, word)
			}
			if separates(word, ";") || separates(word, "|") {
				in.separated.add(n, word)
			}
			in.add(word, nil, n)
		}
		return nil
	})
}

// ReadWordList reads a list of words for Corpus.Expand: one per line, trimmed, without empty
// lines and comments. Encoding, line ends and comments are as in ReadCorpus. Text that is
// not UTF-8, a tab inside a line, separators in most lines and a list without words are
// errors.
func ReadWordList(r io.Reader) ([]string, error) {
	words, err := readWordList(r)
	if err != nil {
		return nil, fmt.Errorf("lexicon: word list: %w", err)
	}
	return words, nil
}

func readWordList(r io.Reader) ([]string, error) {
	text, err := readText(r)
	if err != nil {
		return nil, err
	}
	if err := checkList(text); err != nil {
		return nil, err
	}
	var words []string
	err = eachLine(text, func(n int, line string) error {
		word := strings.TrimSpace(line)
		switch {
		case strings.Contains(word, "\t"):
			return fmt.Errorf("line %d: %q, wanted one word a line, without tabs", n, line)
		case word != "" && !isComment(word):
			words = append(words, word)
		}
		return nil
	})
	if err == nil && len(words) == 0 {
		err = errors.New("empty, wanted one word a line")
	}
	return words, err
}

// separators are column separators of files that are not plain lists.
var separators = []struct{ sign, name string }{
	{";", "semicolons"}, {"|", "bars"}, {",", "commas"}, {"=", "equals signs"}, {":", "colons"}, {"- ", "dashes as YAML's"}, {"0", "a number after the word"}}

// checkList returns an error if most lines of a plain list contain a separator. Very short
// lists are exempt, since a word or two may contain a colon or a number.
func checkList(text string) error {
	lines := 0
	count := make([]tally, len(separators))
	err := eachLine(text, func(n int, line string) error {
		word := strings.TrimSpace(line)
		if word == "" || isComment(word) {
			return nil
		}
		lines++
		for i, s := range separators {
			if separates(word, s.sign) {
				count[i].add(n, word)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, s := range separators {
		if c := count[i]; 2*c.n > lines && (s.sign == ";" || s.sign == "|" || lines > 2) {
			return fmt.Errorf("line %d: %q: %s in %d of %d lines, wanted one word a line, or CSV with commas between the columns and the header Category,token_decoded or DicTerm and one column a category",
				c.line, c.text, s.name, c.n, lines)
		}
	}
	return nil
}

// separates reports whether a separator occurs between two parts of a line.
func separates(word, sign string) bool {
	switch sign {
	case "- ":
		return strings.HasPrefix(word, sign)
	case "0":
		i := strings.LastIndexFunc(word, unicode.IsSpace)
		if i < 0 {
			return false
		}
		_, err := strconv.ParseFloat(strings.TrimSpace(word[i:]), 64)
		return err == nil
	}
	for rest := word; ; {
		before, after, ok := strings.Cut(rest, sign)
		if !ok {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(before, "\" "))
		next, _ := utf8.DecodeRuneInString(strings.TrimLeft(after, "\" "))
		if isWordRune(last) && isWordRune(next) {
			return true
		}
		rest = after
	}
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
