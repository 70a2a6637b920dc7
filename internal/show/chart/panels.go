package chart

import (
	"html/template"
	"math"
)

// Panels draws each series in a small plot of its own, all on the same axes and
// with the others behind it in grey.
type Panels struct {
	ID     string // unique on the page
	Title  string
	Desc   string
	Width  float64
	X, Y   Axis
	Limit  *Limit
	Panels []Panel
}

// Panel is one series, which may have been measured several times over.
type Panel struct {
	Name    string
	Note    string // right of the name
	Strands [][]Point
}

const (
	panelHead   = 24.0
	panelHeight = 132.0
	panelFoot   = 26.0
	panelGap    = 22.0
)

// SVG draws the chart; nothing if no panel has a point.
func (p Panels) SVG() template.HTML {
	p.Panels = p.shown()
	if len(p.Panels) == 0 {
		return ""
	}
	var c canvas
	g := p.grid()
	rows := math.Ceil(float64(len(p.Panels)) / float64(g.columns))
	c.frame("panels", p.ID, p.Title, p.Desc, p.Width, g.first.top-panelHead+rows*g.down+axisRoom-panelFoot)
	c.head(p.Y.Label, p.Limit, p.Width)
	c.open("defs")
	c.tag("path", "id", p.ID+"-all", "d", p.shadow(&g.first))
	c.close("defs")
	for i := range p.Panels {
		p.draw(&c, g, i)
	}
	c.text(g.first.left, g.first.top-panelHead+rows*g.down+14, "label", fit(p.X.Label, tickSize, p.Width-g.first.left-edge))
	return c.svg()
}

// shown are the panels and strands that have a point which the axes can place.
func (p Panels) shown() []Panel {
	var shown []Panel
	for _, panel := range p.Panels {
		var strands [][]Point
		for _, strand := range panel.Strands {
			if points := visible(strand, p.X.Scale, p.Y.Scale); len(points) > 0 {
				strands = append(strands, points)
			}
		}
		if panel.Strands = strands; len(strands) > 0 {
			shown = append(shown, panel)
		}
	}
	return shown
}

// panelGrid is where the panels lie: the first, and the way to the next ones.
type panelGrid struct {
	first        plot
	columns      int
	across, down float64
}

func (p Panels) grid() panelGrid {
	var xs, ys []float64
	for _, panel := range p.Panels {
		for _, strand := range panel.Strands {
			for _, v := range strand {
				xs, ys = append(xs, v.X), append(ys, v.Y)
			}
		}
	}
	if p.Limit != nil {
		ys = append(ys, p.Limit.Y)
	}
	g := panelGrid{columns: 3, down: panelHead + panelHeight + panelFoot}
	if p.Width < narrowBelow {
		g.columns = 1
	}
	g.columns = min(g.columns, len(p.Panels))
	f := plot{x: p.X.Scale.domainOf(xs), y: p.Y.Scale.domainOf(ys), top: 30 + panelHead}
	f.bottom = f.top + panelHeight
	f.left = edge + 8 + widest(f.yTicks(), p.Y.Format)
	g.across = (p.Width - edge - f.left + panelGap) / float64(g.columns)
	f.right = f.left + g.across - panelGap
	g.first = f
	return g
}

// shadow is the path of everything, drawn once and used behind every panel.
func (p Panels) shadow(f *plot) string {
	d := ""
	for _, panel := range p.Panels {
		for _, strand := range panel.Strands {
			d += f.path(strand)
		}
	}
	return d
}

func (p Panels) draw(c *canvas, g panelGrid, i int) {
	right, down := float64(i%g.columns)*g.across, float64(i/g.columns)*g.down
	f := g.first
	f.left, f.right, f.top, f.bottom = f.left+right, f.right+right, f.top+down, f.bottom+down

	panel := p.Panels[i]
	c.open("g", "class", "panel")
	c.text(f.left, f.top-9, "name strong", fit(panel.Name, textSize, f.right-f.left-widthOf(panel.Note, tickSize)-10))
	c.text(f.right, f.top-9, "tick end", panel.Note)
	if format := p.Y.Format; i%g.columns == 0 {
		f.yAxis(c, format)
	} else {
		f.yAxis(c, nil)
	}
	if i+g.columns >= len(p.Panels) {
		f.xAxis(c, p.X.Format)
	} else {
		c.line(f.left, f.bottom, f.right, f.bottom, "base")
	}
	f.limit(c, p.Limit)
	c.tag("use", "href", "#"+p.ID+"-all", "x", right, "y", down, "class", "shadow")
	for _, strand := range panel.Strands {
		c.tag("path", "class", "line", "d", f.path(strand))
		for _, v := range strand {
			c.dot(f.px(v.X), f.py(v.Y), v.Open)
		}
	}
	c.close("g")
}
