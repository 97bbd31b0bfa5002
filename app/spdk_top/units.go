package main

import (
	"math"
	"strconv"
	"strings"
)

// noValue is shown where there is nothing to say.
const noValue = "-"

// count writes a number with three digits or more, and what it is to be multiplied with: 1234567 is 1.23M.
func count(n float64) string { return scale(n, 1000, []string{"", "k", "M", "G", "T", "P", "E"}) }

// size writes a number of bytes: 1.5M is 1.5 MiB.
func size(n float64) string { return scale(n, 1024, []string{"", "K", "M", "G", "T", "P", "E"}) }

func scale(n, base float64, units []string) string {
	i := 0
	// 999.6 would be written as 1000.
	for ; i < len(units)-1 && n >= base-0.5; i++ {
		n /= base
	}
	switch {
	case i == 0 && n == math.Trunc(n), n >= 99.95:
		return strconv.FormatFloat(n, 'f', 0, 64) + units[i]
	case n >= 9.995:
		return strconv.FormatFloat(n, 'f', 1, 64) + units[i]
	}
	return strconv.FormatFloat(n, 'f', 2, 64) + units[i]
}

// duration writes microseconds.
func duration(us float64) string {
	switch {
	case us < 999.5:
		return scale(us, 1000, []string{""}) + "µs"
	case us < 999.5e3:
		return scale(us/1e3, 1000, []string{""}) + "ms"
	}
	return scale(us/1e6, 1000, []string{"", "k", "M"}) + "s"
}

// percentage writes a number from 0 to 100.
func percentage(p float64) string { return strconv.FormatFloat(p, 'f', 1, 64) }

// printable returns text with what is no printable character escaped, so that nothing in it commands the terminal.
func printable(text string) string {
	for _, r := range text {
		if !strconv.IsPrint(r) || r == '\ufffd' {
			quoted := strconv.QuoteToGraphic(text)
			return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		}
	}
	return text
}

// spark draws numbers from 0 to 100, one character for each.
func spark(values []float64) string {
	const levels = "▁▂▃▄▅▆▇█"
	steps := []rune(levels)
	line := make([]rune, len(values))
	for i, v := range values {
		line[i] = ' '
		if v > 0 {
			line[i] = steps[min(int(v/100*float64(len(steps))), len(steps)-1)]
		}
	}
	return string(line)
}
