package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// layouts are the strftime directives that chat templates use, in the notation of package
// time.
var layouts = map[string]string{
	"a": "Mon", "A": "Monday", "b": "Jan", "B": "January", "h": "Jan", "p": "PM",
	"d": "02", "e": "_2", "j": "002", "m": "01", "y": "06", "Y": "2006", "F": "2006-01-02",
	"H": "15", "I": "03", "M": "04", "S": "05", "R": "15:04", "T": "15:04:05",
}

// Strftime formats t as Python's datetime.strftime does in the C locale on Linux. An unknown
// directive is an error.
func Strftime(t time.Time, format string) (string, error) {
	var b strings.Builder
	for {
		text, rest, more := strings.Cut(format, "%")
		b.WriteString(text)
		if !more {
			return b.String(), nil
		}
		rest, short := strings.CutPrefix(rest, "-") // glibc's flag: no padding
		name := rest[:min(1, len(rest))]
		layout, known := layouts[name]
		switch {
		case name == "":
			return "", fmt.Errorf("strftime: the format ends inside a directive")
		case name == "%" && !short:
			b.WriteByte('%')
		case short && strings.Contains("dejmyHIMS", name):
			number, _ := strconv.Atoi(strings.TrimSpace(t.Format(layout)))
			b.WriteString(strconv.Itoa(number))
		case short:
			return "", fmt.Errorf("strftime: the directive %%-%s is not supported", name)
		case !known:
			return "", fmt.Errorf("strftime: the directive %%%s is not supported", name)
		default:
			b.WriteString(t.Format(layout))
		}
		format = rest[len(name):]
	}
}
