package report

import (
	"encoding/json"
	"io"
)

// WriteJSON writes the document as indented JSON that keeps to [Schema].
func (d *Document) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
