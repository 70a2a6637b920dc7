package chart

import (
	"html/template"
	"slices"
)

// Lines draws series that share two axes, each labelled at its end.
type Lines struct {
	ID     string // unique on the page
	Title  string
	Desc   string
	Width  float64
	Height float64 // at least; more series need more room for their labels
	X, Y   Axis
	Limit  *Limit
	Series []Series
}

// Series is one line. Its place among the others decides how it looks.
type Series struct {
	Name   string
	Points []Point

	look look
}

const (
	labelGap   = 17.0
	labelInset = 30.0 // from the plot to a label: leader line and marker
)

// SVG draws the chart; nothing if no series has a point.
func (l Lines) SVG() template.HTML {
	l.Series = l.shown()
	if len(l.Series) == 0 {
		return ""
	}
	var c canvas
	p := l.plot()
	c.frame("lines", l.ID, l.Title, l.Desc, l.Width, p.bottom+axisRoom)
	c.head(l.Y.Label, l.Limit, l.Width)
	p.yAxis(&c, l.Y.Format)
	p.xAxis(&c, l.X.Format)
	c.text(p.left, p.bottom+38, "label", fit(l.X.Label, tickSize, l.Width-p.left-edge))
	p.limit(&c, l.Limit)
	c.tag("line", "class", "cross", "y1", p.top, "y2", p.bottom)
	l.draw(&c, &p)
	return c.svg()
}

func (l Lines) plot() plot {
	var xs, ys []float64
	labels := 0.0
	for _, s := range l.Series {
		labels = max(labels, widthOf(s.Name, textSize))
		for _, v := range s.Points {
			xs, ys = append(xs, v.X), append(ys, v.Y)
		}
	}
	if l.Limit != nil {
		ys = append(ys, l.Limit.Y)
	}
	height := max(l.Height, 90+labelGap*float64(len(l.Series)))
	p := plot{
		x: l.X.Scale.domainOf(xs), y: l.Y.Scale.domainOf(ys),
		top: 28, bottom: height - axisRoom,
		right: l.Width - edge - labelInset - min(labels+2, l.Width*.28),
	}
	p.left = edge + 8 + widest(p.yTicks(), l.Y.Format)
	return p
}

// draw puts each line and its label into one group, so that pointing at either
// can bring both forward.
func (l Lines) draw(c *canvas, p *plot) {
	ends := make([]float64, len(l.Series))
	for i, s := range l.Series {
		ends[i] = p.py(s.Points[len(s.Points)-1].Y)
	}
	labels := spread(ends, labelGap, p.top, p.bottom)
	for i, s := range slices.Backward(l.Series) { // the first lies on top
		c.open("g", "class", "series "+s.look.class(), "data-name", s.Name)
		c.tag("path", "class", "line", "d", p.path(s.Points))
		for _, v := range s.Points {
			c.marker(s.look, p.px(v.X), p.py(v.Y), v.Open, "data-x", l.X.Format(v.X), "data-y", v.Text)
		}
		c.line(p.px(s.Points[len(s.Points)-1].X)+6, ends[i], p.right+16, labels[i], "leader")
		c.marker(s.look, p.right+22, labels[i], false)
		c.text(p.right+labelInset, labels[i]+4.5, "name", fit(s.Name, textSize, l.Width-edge-p.right-labelInset))
		c.close("g")
	}
}

// shown are the series that have a point which the axes can place, with their look.
func (l Lines) shown() []Series {
	var shown []Series
	for i, s := range l.Series {
		s.Points, s.look = visible(s.Points, l.X.Scale, l.Y.Scale), look(i)
		if len(s.Points) > 0 {
			shown = append(shown, s)
		}
	}
	return shown
}
