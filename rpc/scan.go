package rpc

import (
	"bytes"
	"unicode/utf8"
)

// Limits of a request. SPDK: SPDK_JSONRPC_RECV_BUF_SIZE, SPDK_JSONRPC_MAX_VALUES, SPDK_JSON_MAX_NESTING_DEPTH
const (
	maxRequest = 256 << 10 // bytes
	maxValues  = 8192      // a name, a scalar, and either end of an object or array are one each
	maxDepth   = 64
)

// scanner finds the end of a JSON value in bytes that come piece by piece, and checks its grammar on the way. Its zero
// value expects a value.
type scanner struct {
	state  scanState
	depth  int
	values int
	isKey  bool   // the string that is being read is a name
	word   string // what is left of true, false or null
	stack  [maxDepth]byte
	begun  bool // there is more than white space
}

type scanState uint8

const (
	scanValue    scanState = iota // a value
	scanFirst                     // a value or ]
	scanFirstKey                  // a name or }
	scanKey                       // a name
	scanColon                     // :
	scanAfter                     // , or the end of what is open
	scanString                    // in a string
	scanEscape                    // after a backslash
	scanHex1                      // after \u: four digits
	scanHex2
	scanHex3
	scanHex4
	scanWord      // in true, false or null
	scanMinus     // after -: a digit
	scanZero      // after a 0 in front
	scanInt       // in the digits in front
	scanPoint     // after the point: a digit
	scanFraction  // in the digits behind it
	scanExp       // after e: a sign or digit
	scanExpSign   // after the sign: a digit
	scanExpDigits // in the exponent
)

// scan reads b and returns how many bytes of it it has used. done says that they end a value, ok that so far they could
// be one.
func (s *scanner) scan(b []byte) (n int, done, ok bool) {
	for i, c := range b {
		// A number ends where something else begins, which is not a part of it.
		if s.inNumber() && !s.number(c) {
			if !s.numberMayEnd() {
				return i, false, false
			}
			if s.valueEnds() {
				return i, true, true
			}
		} else if s.inNumber() {
			continue
		}
		done, ok := s.step(c)
		if !ok || s.values > maxValues {
			return i, false, false
		}
		if done {
			return i + 1, true, true
		}
	}
	return len(b), false, true
}

// valueEnds says whether the value that has ended is the whole.
func (s *scanner) valueEnds() bool {
	s.state = scanAfter
	return s.depth == 0
}

func (s *scanner) inNumber() bool { return s.state >= scanMinus }

func (s *scanner) numberMayEnd() bool {
	return s.state == scanZero || s.state == scanInt || s.state == scanFraction || s.state == scanExpDigits
}

// number goes on with a number, if c is a part of it.
func (s *scanner) number(c byte) bool {
	digit := c >= '0' && c <= '9'
	switch {
	case digit && s.state == scanMinus && c == '0':
		s.state = scanZero
	case digit && (s.state == scanMinus || s.state == scanInt):
		s.state = scanInt
	case digit && (s.state == scanPoint || s.state == scanFraction):
		s.state = scanFraction
	case digit && s.state >= scanExp:
		s.state = scanExpDigits
	case c == '.' && (s.state == scanZero || s.state == scanInt):
		s.state = scanPoint
	case (c == 'e' || c == 'E') && (s.state == scanZero || s.state == scanInt || s.state == scanFraction):
		s.state = scanExp
	case (c == '+' || c == '-') && s.state == scanExp:
		s.state = scanExpSign
	default:
		return false
	}
	return true
}

// step takes a byte that is not part of a number, unless it is its first.
func (s *scanner) step(c byte) (done, ok bool) {
	switch s.state {
	case scanString:
		return s.inString(c)
	case scanEscape:
		return false, s.escape(c)
	case scanHex1, scanHex2, scanHex3, scanHex4:
		if !isHex(c) {
			return false, false
		}
		if s.state++; s.state > scanHex4 {
			s.state = scanString
		}
		return false, true
	case scanWord:
		if c != s.word[0] {
			return false, false
		}
		if s.word = s.word[1:]; s.word == "" {
			return s.valueEnds(), true
		}
		return false, true
	}
	if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
		return false, true
	}
	s.begun = true
	switch s.state {
	case scanValue, scanFirst:
		if c == ']' && s.state == scanFirst {
			return s.pop('[')
		}
		return false, s.value(c)
	case scanKey, scanFirstKey:
		if c == '}' && s.state == scanFirstKey {
			return s.pop('{')
		}
		s.state, s.isKey = scanString, true
		s.values++
		return false, c == '"'
	case scanColon:
		s.state = scanValue
		return false, c == ':'
	}
	return s.after(c)
}

func (s *scanner) after(c byte) (done, ok bool) {
	switch top := s.stack[s.depth-1]; {
	case c == ',' && top == '[':
		s.state = scanValue
	case c == ',':
		s.state = scanKey
	case c == ']':
		return s.pop('[')
	case c == '}':
		return s.pop('{')
	default:
		return false, false
	}
	return false, true
}

func (s *scanner) value(c byte) bool {
	s.values++
	switch {
	case c == '{' || c == '[':
		if s.depth == maxDepth {
			return false
		}
		s.stack[s.depth] = c
		s.depth++
		s.state = scanFirst
		if c == '{' {
			s.state = scanFirstKey
		}
	case c == '"':
		s.state, s.isKey = scanString, false
	case c == '-':
		s.state = scanMinus
	case c == '0':
		s.state = scanZero
	case c >= '1' && c <= '9':
		s.state = scanInt
	case c == 't':
		s.state, s.word = scanWord, "rue"
	case c == 'f':
		s.state, s.word = scanWord, "alse"
	case c == 'n':
		s.state, s.word = scanWord, "ull"
	default:
		return false
	}
	return true
}

// pop closes an object or array.
func (s *scanner) pop(open byte) (done, ok bool) {
	if s.stack[s.depth-1] != open {
		return false, false
	}
	s.depth--
	s.values++
	return s.valueEnds(), true
}

func (s *scanner) inString(c byte) (done, ok bool) {
	switch {
	case c == '\\':
		s.state = scanEscape
	case c == '"' && s.isKey:
		s.state = scanColon
	case c == '"':
		return s.valueEnds(), true
	case c < ' ':
		return false, false
	}
	return false, true
}

func (s *scanner) escape(c byte) bool {
	s.state = scanString
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		s.state = scanHex1
		return true
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// framer cuts the bytes of a connection into requests.
type framer struct {
	scan scanner
	buf  []byte // what has come of the request that is not complete
}

// next takes bytes from b, and returns the request that they complete, if any, and the rest. The request is valid
// until the next call.
func (f *framer) next(b []byte) (request, rest []byte, err *Error) {
	n, done, ok := f.scan.scan(b)
	if f.scan.begun {
		f.buf = append(f.buf, b[:n]...)
	}
	switch {
	case !ok:
		return nil, nil, errorf(ParseError, "Parse error")
	case len(f.buf) > maxRequest:
		return nil, nil, errorf(ParseError, "Parse error: a request of more than %d bytes", maxRequest)
	case !done:
		return nil, nil, nil
	case !utf8.Valid(f.buf):
		return nil, nil, errorf(ParseError, "Parse error: this is not UTF-8")
	}
	request = bytes.TrimLeft(f.buf, " \t\r\n")
	f.scan, f.buf = scanner{}, nil
	return request, b[n:], nil
}

// partial says whether a request has begun that is not complete.
func (f *framer) partial() bool { return f.scan.begun }
