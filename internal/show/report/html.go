package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

var (
	//go:embed report.html.tmpl
	pageText string
	//go:embed report.css
	pageCSS string
	//go:embed report.js
	pageJS string

	layout = template.Must(template.New("report").
		Funcs(template.FuncMap{"plain": plain, "lines": lines}).Parse(pageText))
)

// WriteHTML writes the whole report as one file that loads nothing and that a
// strict content security policy guards.
func (d *Document) WriteHTML(w io.Writer) error {
	v, err := d.view()
	if err != nil {
		return err
	}
	var b bytes.Buffer // nothing is written of a page that cannot be finished
	if err := layout.Execute(&b, v); err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// policy allows the page its own style and script and nothing else.
func policy(style, script string) string {
	return "default-src 'none'; style-src " + digest(style) + "; script-src " + digest(script) + "; base-uri 'none'; form-action 'none'"
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// data gives the document and its CSV as JSON for inline script elements:
// encoding/json writes <, > and & as escapes, so no text can end the element.
func (d *Document) data() (document, table template.JS, err error) {
	doc, err := json.Marshal(d)
	if err != nil {
		return "", "", fmt.Errorf("encode results: %w", err)
	}
	var b strings.Builder
	if err := d.WriteCSV(&b); err != nil {
		return "", "", err
	}
	csv, err := json.Marshal(b.String())
	return template.JS(doc), template.JS(csv), err
}
