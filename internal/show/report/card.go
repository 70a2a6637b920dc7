package report

import (
	"strings"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// card is what the report says of a contender itself.
type card struct {
	Name, Kind, Workers, Hash string
	Versions                  []showdown.Version
	Notes                     []note
	Home                      *link
}

type note struct {
	Text string
	Link *link
}

// cards describe the contenders in the order of the ranking.
func (d *Document) cards() []card {
	var cards []card
	for i := range d.Ranking.Standings {
		c := d.contender(d.Ranking.Standings[i].Contender)
		k := card{
			Name: c.Name, Kind: kind(c), Workers: c.Workers, Hash: c.Hash[:min(12, len(c.Hash))],
			Versions: c.Versions, Home: linkTo(c.Homepage),
		}
		for _, n := range c.Notes {
			k.Notes = append(k.Notes, note{n.Text, linkTo(n.Link)})
		}
		cards = append(cards, k)
	}
	return cards
}

// kind writes "Gin on Go"; the title alone where the rest is not known.
func kind(c *showdown.Contender) string {
	var parts []string
	for _, s := range []string{c.Title, c.Framework, c.Language} {
		if s != "" && (len(parts) == 0 || !strings.EqualFold(parts[len(parts)-1], s)) {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " · ")
}
