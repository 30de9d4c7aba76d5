package plot

import (
	"cmp"
	"image"
	"image/color"
	"iter"
	"slices"
)

// indexed returns a picture with at most 256 colours: its most frequent ones, and
// for the shades at the edges of lines and letters one that differs by at most 16 of 255 in each
// channel. Its PNG is several times smaller. Where 256 are too few, ok is false.
func indexed(m *image.RGBA) (out *image.Paletted, ok bool) {
	count := map[uint32]int{}
	for c, run := range runs(m) {
		count[c] += run
	}
	colors := make([]uint32, 0, len(count))
	for c := range count {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	for _, off := range []int{3, 6, 10, 16} {
		if entries, index, ok := palettize(colors, off); ok {
			out := image.NewPaletted(m.Rect, entries)
			at := 0 // the rows of a new picture follow each other without gaps
			for c, run := range runs(m) {
				entry := index[c]
				for i := range run {
					out.Pix[at+i] = entry
				}
				at += run
			}
			return out, true
		}
	}
	return nil, false
}

// runs yields the colours of a picture from its first pixel to its last, each with the number of pixels
// that it lasts: most of a figure is white.
func runs(m *image.RGBA) iter.Seq2[uint32, int] {
	return func(yield func(uint32, int) bool) {
		var last uint32
		run := 0
		for y := range m.Rect.Dy() {
			row := m.Pix[y*m.Stride : y*m.Stride+4*m.Rect.Dx()]
			for i := 0; i < len(row); i += 4 {
				p := row[i : i+3 : i+3]
				c := uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
				if c != last && run > 0 {
					if !yield(last, run) {
						return
					}
					run = 0
				}
				last = c
				run++
			}
		}
		if run > 0 {
			yield(last, run)
		}
	}
}

// palettize chooses entries from colours, which are given by falling frequency,
// such that each has one no further off.
func palettize(colors []uint32, off int) (entries color.Palette, index map[uint32]uint8, ok bool) {
	const exact = 96 // fills, text, frames and the grid keep their colours
	index = make(map[uint32]uint8, len(colors))
	var taken []uint32
	for i, c := range colors {
		near, least := -1, off+1
		if i >= exact {
			for k, t := range taken {
				if d := apartness(c, t); d < least {
					near, least = k, d
				}
			}
		}
		if near < 0 {
			if len(taken) == 256 {
				return nil, nil, false
			}
			near = len(taken)
			taken = append(taken, c)
			entries = append(entries, color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 255})
		}
		index[c] = uint8(near)
	}
	return entries, index, true
}

// apartness is the greatest difference of two colours in a channel.
func apartness(a, b uint32) int {
	most := 0
	for shift := 0; shift <= 16; shift += 8 {
		d := int(a>>shift&255) - int(b>>shift&255)
		most = max(most, d, -d)
	}
	return most
}
