package lexicon

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// readText reads a file of words or prompts: UTF-8 with or without a byte order mark, or
// UTF-16 with one, as in Excel's "Unicode text". Other encodings cannot be recognised by
// their bytes, and guessing would corrupt words, so they are errors, as are files that are
// not text; the error names the type of file if it is known.
func readText(src io.Reader) (string, error) {
	data, err := io.ReadAll(src)
	if err != nil {
		return "", err
	}
	if kind := notText(data); kind != "" {
		return "", fmt.Errorf("%s, wanted text", kind)
	}
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(data, []byte("\x00\x00\xfe\xff")):
		return "", fmt.Errorf("UTF-32, wanted UTF-8 (save it as CSV UTF-8, or as text in UTF-8)")
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return decodeUTF16(data[2:], binary.BigEndian)
	case bytes.Count(data, []byte{0}) > len(data)/4: // every other byte of Latin text in UTF-16
		return "", fmt.Errorf("NUL bytes, as text in UTF-16 without a byte order mark has them, wanted UTF-8 (save it as CSV UTF-8, or as text in UTF-8)")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		at := 0
		for at < len(data) {
			r, size := utf8.DecodeRune(data[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return "", fmt.Errorf("line %d: not valid UTF-8: byte %#x, as in Latin-1 and other old encodings, wanted UTF-8 (save it as CSV UTF-8, or as text in UTF-8)",
			1+strings.Count(lineEnds(string(data[:at])), "\n"), data[at])
	}
	return string(data), nil
}

func decodeUTF16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", fmt.Errorf("UTF-16 with half a unit at its end, wanted whole text (save it as CSV UTF-8, or as text in UTF-8)")
	}
	var text strings.Builder
	for i := 0; i < len(data); i += 2 {
		r := rune(order.Uint16(data[i:]))
		if utf16.IsSurrogate(r) {
			low := rune(unicode.ReplacementChar)
			if i += 2; i < len(data) {
				low = rune(order.Uint16(data[i:]))
			}
			if r = utf16.DecodeRune(r, low); r == unicode.ReplacementChar {
				return "", fmt.Errorf("line %d: UTF-16 with half of a surrogate pair, wanted text", 1+strings.Count(lineEnds(text.String()), "\n"))
			}
		}
		text.WriteRune(r)
	}
	return text.String(), nil
}

// notText names the type of a common file format that is not text.
func notText(data []byte) string {
	begins := func(magic string) bool { return bytes.HasPrefix(data, []byte(magic)) }
	holds := func(part string) bool { return bytes.Contains(data, []byte(part)) }
	page := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 512)])))
	const export = ": save the sheet as CSV UTF-8"
	switch {
	case begins("PK\x03\x04") && holds("opendocument.spreadsheet"):
		return "an OpenDocument spreadsheet (.ods)" + export
	case begins("PK\x03\x04") && holds("xl/"):
		return "an Excel workbook (.xlsx)" + export
	case begins("PK\x03\x04") && holds("word/"):
		return "a Word document (.docx): save it as plain text in UTF-8"
	case begins("PK\x03\x04") && holds("opendocument.text"):
		return "an OpenDocument text (.odt): save it as plain text in UTF-8"
	case begins("PK\x03\x04"), begins("PK\x05\x06"):
		return "a zip archive: unpack it"
	case begins("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
		return "an old Excel or Word file (.xls, .doc)" + export + ", or the document as plain text in UTF-8"
	case begins("\x1f\x8b"):
		return "gzip: unpack it (gunzip)"
	case begins("%PDF-"):
		return "a PDF document"
	case begins(`{\rtf`):
		return "a document in Rich Text Format (.rtf): save it as plain text in UTF-8"
	case begins("PAR1"):
		return "a Parquet file"
	case strings.HasPrefix(page, "<!doctype html"), strings.HasPrefix(page, "<html"):
		return "a web page (HTML): download the file itself"
	}
	return ""
}

// lineEnds replaces every line end, "\r\n" and the lone "\r" of old Macs, by "\n". For CSV,
// where a "\r" may be a token, see csvLineEnds.
func lineEnds(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// csvLineEnds replaces each lone "\r" that ends a line of a CSV file by "\n" and counts
// them. A "\r" in quotes never ends a line. If the file has no other line ends, every "\r"
// outside quotes does; otherwise pandas may have written the token "\r" without quotes, and
// only one that is followed by text in the same field ends a line.
func csvLineEnds(text string, comma byte) (string, int) {
	if !strings.Contains(text, "\r") {
		return text, 0
	}
	var ends []int // lone "\r" outside quotes
	feeds := false // a "\n" outside quotes
	quoted, start := false, true
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case b == '"' && (quoted || start):
			quoted, start = !quoted, !start
			// A doubled quote closes and, since start is set, reopens.
			continue
		case quoted:
			continue
		case b == '\n':
			feeds = true
		case b == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			ends = append(ends, i)
		}
		start = b == comma || b == '\n' || b == '\r'
	}
	out := []byte(text)
	n := 0
	for _, i := range ends {
		last := i+1 == len(text)
		if !feeds || !last && text[i+1] != comma && text[i+1] != '\r' && (i == 0 || text[i-1] != '\r') {
			out[i] = '\n'
			n++
		}
	}
	return string(out), n
}
