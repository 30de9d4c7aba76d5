package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	weekdays = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	months   = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
)

// Strftime formats t as Python's datetime.strftime does in the C locale on Linux,
// for a datetime without a time zone: %z and %Z are empty. It knows the directives
// of C, those that glibc adds, and glibc's flags - _ 0 ^ and #; of widths and of
// the modifiers E and O, nothing. The error names what it does not know.
func Strftime(t time.Time, format string) (string, error) {
	var b strings.Builder
	for format != "" {
		at := strings.IndexByte(format, '%')
		if at < 0 {
			b.WriteString(format)
			break
		}
		b.WriteString(format[:at])
		format = format[at+1:]
		n := 0
		for n < len(format) && strings.IndexByte("-_0^#", format[n]) >= 0 {
			n++
		}
		flags := format[:n]
		if n == len(format) {
			return "", fmt.Errorf("strftime: the format ends inside a directive")
		}
		s, err := directive(t, format[n], flags)
		if err != nil {
			return "", err
		}
		b.WriteString(s)
		format = format[n+1:]
	}
	return b.String(), nil
}

func directive(t time.Time, c byte, flags string) (string, error) {
	// number pads n to a width; the last flag that pads wins.
	number := func(n, width int, fill byte) (string, error) {
		s := strconv.Itoa(n)
		for i := range len(flags) {
			switch flags[i] {
			case '-':
				width = 0
			case '_':
				fill = ' '
			case '0':
				fill = '0'
			}
		}
		for len(s) < width {
			s = string(fill) + s
		}
		return s, nil
	}
	text := func(s string) (string, error) {
		switch {
		case strings.Contains(flags, "^"):
			return strings.ToUpper(s), nil
		case strings.Contains(flags, "#"):
			if c == 'p' {
				return strings.ToLower(s), nil
			}
			return strings.ToUpper(s), nil
		}
		return s, nil
	}
	// nested is a directive that stands for others.
	nested := func(format string) (string, error) {
		if strings.Contains(flags, "#") {
			return "", fmt.Errorf("strftime: the directive %%%s%c is not supported", flags, c)
		}
		s, err := Strftime(t, format)
		if err != nil {
			return "", err
		}
		return text(s)
	}
	isoYear, isoWeek := t.ISOWeek()
	hour12 := (t.Hour()+11)%12 + 1
	half := "AM"
	if t.Hour() >= 12 {
		half = "PM"
	}
	switch c {
	case 'a':
		return text(weekdays[t.Weekday()][:3])
	case 'A':
		return text(weekdays[t.Weekday()])
	case 'b', 'h':
		return text(months[t.Month()-1][:3])
	case 'B':
		return text(months[t.Month()-1])
	case 'c':
		return nested("%a %b %e %H:%M:%S %Y")
	case 'C':
		return number(t.Year()/100, 2, '0')
	case 'd':
		return number(t.Day(), 2, '0')
	case 'D', 'x':
		return nested("%m/%d/%y")
	case 'e':
		return number(t.Day(), 2, ' ')
	case 'f': // Python's own: microseconds, whatever the flags
		if flags == "" {
			return fmt.Sprintf("%06d", t.Nanosecond()/1000), nil
		}
	case 'F':
		return nested("%Y-%m-%d")
	case 'g':
		return number(isoYear%100, 2, '0')
	case 'G':
		return number(isoYear, 4, '0')
	case 'H':
		return number(t.Hour(), 2, '0')
	case 'I':
		return number(hour12, 2, '0')
	case 'j':
		return number(t.YearDay(), 3, '0')
	case 'k':
		return number(t.Hour(), 2, ' ')
	case 'l':
		return number(hour12, 2, ' ')
	case 'm':
		return number(int(t.Month()), 2, '0')
	case 'M':
		return number(t.Minute(), 2, '0')
	case 'n':
		return "\n", nil
	case 'p':
		return text(half)
	case 'P':
		return text(strings.ToLower(half))
	case 'r':
		return nested("%I:%M:%S %p")
	case 'R':
		return nested("%H:%M")
	case 'S':
		return number(t.Second(), 2, '0')
	case 't':
		return "\t", nil
	case 'T', 'X':
		return nested("%H:%M:%S")
	case 'u':
		return number((int(t.Weekday())+6)%7+1, 1, '0')
	case 'U':
		return number((t.YearDay()-1+7-int(t.Weekday()))/7, 2, '0')
	case 'V':
		return number(isoWeek, 2, '0')
	case 'w':
		return number(int(t.Weekday()), 1, '0')
	case 'W':
		return number((t.YearDay()-1+7-(int(t.Weekday())+6)%7)/7, 2, '0')
	case 'y':
		return number(t.Year()%100, 2, '0')
	case 'Y':
		return number(t.Year(), 4, '0')
	case 'z', 'Z':
		return "", nil
	case '%':
		return "%", nil
	}
	return "", fmt.Errorf("strftime: the directive %%%s%c is not supported", flags, c)
}
