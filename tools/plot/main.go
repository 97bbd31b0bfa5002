// Command plot draws what go run ./test/bench -scale has measured: the cost of a thing against how
// many of them there are, one panel for each kind.
//
//	plot -o scale.png -table scale.md scale.json
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"image/color"
	"os"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// file is what the benchmark writes.
type file struct {
	CPU    string   `json:"cpu"`
	CPUs   int      `json:"cpus"`
	Built  string   `json:"built"`
	Runs   int      `json:"runs"`
	Series []series `json:"series"`
}

type series struct {
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	Of     string  `json:"of"`
	Points []point `json:"points"`
}

type point struct {
	N  int     `json:"n"`
	Ns float64 `json:"ns"`
}

func main() {
	png := flag.String("o", "scale.png", "picture to write")
	table := flag.String("table", "", "Markdown table to write")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: plot [-o scale.png] [-table scale.md] scale.json")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *png, *table); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(in, png, table string) error {
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if len(f.Series) == 0 {
		return fmt.Errorf("%s has no series: was it written by test/bench -scale?", in)
	}
	if err := writePNG(&f, png); err != nil {
		return err
	}
	if table == "" {
		return nil
	}
	return os.WriteFile(table, []byte(markdown(&f)), 0o644)
}

const columns = 2

func writePNG(f *file, name string) error {
	rows := (len(f.Series) + columns - 1) / columns
	img := vgimg.New(columns*5*vg.Inch, vg.Length(rows)*2.6*vg.Inch)
	canvas := draw.New(img)
	tiles := draw.Tiles{
		Rows: rows, Cols: columns,
		PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 12, PadX: 20, PadY: 18,
	}
	for i := range f.Series {
		p, err := panel(&f.Series[i])
		if err != nil {
			return fmt.Errorf("%s: %w", f.Series[i].Name, err)
		}
		p.Draw(tiles.At(canvas, i%columns, i/columns))
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(out); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// panel is the curve of one series. Its axis begins at 0, so that flat looks flat.
func panel(s *series) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = s.Title
	p.X.Label.Text = "number of " + s.Of
	p.Y.Label.Text = "ns each"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = plot.LogTicks{Prec: -1}
	p.Y.Min = 0
	p.Add(plotter.NewGrid())
	xys := make(plotter.XYs, len(s.Points))
	for i, pt := range s.Points {
		xys[i] = plotter.XY{X: float64(pt.N), Y: pt.Ns}
		p.Y.Max = max(p.Y.Max, pt.Ns*1.15)
	}
	line, dots, err := plotter.NewLinePoints(xys)
	if err != nil {
		return nil, err
	}
	line.Color = color.RGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}
	line.Width = vg.Points(1.5)
	dots.Color = line.Color
	dots.Shape = draw.CircleGlyph{}
	p.Add(line, dots)
	p.Y.Min = 0
	return p, nil
}

// markdown is a table of the first, middle and last point of each series.
func markdown(f *file) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Cost against number\n\n")
	fmt.Fprintf(&b, "What things cost when there are more of them, in nanoseconds each: the best of %d runs", f.Runs)
	fmt.Fprintf(&b, " on a virtual machine\nof %d CPUs (%s), %s. Made by `make plot`.\n\n", f.CPUs, f.CPU, f.Built)
	fmt.Fprintf(&b, "![cost against number](scale.png)\n\n")
	fmt.Fprintf(&b, "| what | of | 1 | 10 | 100 | 1000 | 10 000 |\n|---|---|---:|---:|---:|---:|---:|\n")
	for _, s := range f.Series {
		fmt.Fprintf(&b, "| %s | %s |", s.Title, s.Of)
		for _, n := range []int{1, 10, 100, 1000, 10000} {
			fmt.Fprintf(&b, " %s |", at(s.Points, n))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func at(points []point, n int) string {
	for _, p := range points {
		if p.N == n {
			return fmt.Sprintf("%.0f", p.Ns)
		}
	}
	return ""
}
