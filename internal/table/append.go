package table

import "strings"

// AppendField appends one field to dst, quoted, with its quotes doubled, if it contains a
// comma, a quote, "\r" or "\n". This is pandas' QUOTE_MINIMAL, except that pandas leaves a
// lone "\r" unquoted and then cannot read it.
func AppendField(dst []byte, field string) []byte {
	if !strings.ContainsAny(field, ",\"\r\n") {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for {
		i := strings.IndexByte(field, '"')
		if i < 0 {
			break
		}
		dst = append(append(dst, field[:i]...), `""`...)
		field = field[i+1:]
	}
	return append(append(dst, field...), '"')
}

// AppendRecord appends fields, comma-separated, and a line end.
func AppendRecord(dst []byte, fields ...string) []byte {
	if len(fields) == 1 && fields[0] == "" {
		return append(dst, "\"\"\n"...)
	}
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendField(dst, f)
	}
	return append(dst, '\n')
}
