package metrics

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"fmt"
)

//go:embed page.html
var pageText []byte

// page is what is served at /, and the policy that lets nothing else run in it.
var page = preparePage(pageText)

type preparedPage struct {
	text   []byte
	policy string
}

// preparePage names the page's one script and one style by their hashes.
func preparePage(text []byte) preparedPage {
	return preparedPage{text, fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; "+
		"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		hashBetween(text, "<script>", "</script>"), hashBetween(text, "<style>", "</style>"))}
}

func hashBetween(text []byte, from, to string) string {
	_, rest, ok1 := bytes.Cut(text, []byte(from))
	inner, _, ok2 := bytes.Cut(rest, []byte(to))
	if !ok1 || !ok2 {
		panic("metrics: the page has no " + from)
	}
	sum := sha256.Sum256(inner)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
