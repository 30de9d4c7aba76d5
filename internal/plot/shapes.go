package plot

import "math"

// shapes is how many marks there are to tell groups or models apart.
const shapes = 10

// shape draws mark number kind, filled: circle, triangle, diamond, square, cross,
// star, triangle on its head, plus, pentagon, hourglass, and again from the start. All
// have about the area of a circle of the radius.
func (p *pen) shape(kind int, at xy, radius float64, fill Color, alpha float64) {
	if kind%shapes == 0 {
		p.dots([]xy{at}, radius, fill, alpha)
		return
	}
	at2 := corners(kind, at, radius)
	p.area(at2, fill, alpha, stroke{})
}

func corners(kind int, at xy, r float64) []xy {
	switch kind % shapes {
	case 1:
		return polygon(at, r*1.4, 3, math.Pi/2)
	case 2:
		return polygon(at, r*1.3, 4, math.Pi/2)
	case 3:
		return polygon(at, r*1.25, 4, math.Pi/4)
	case 4:
		return cross(at, r*1.35, math.Pi/4)
	case 5:
		return star(at, r*1.55)
	case 6:
		return polygon(at, r*1.4, 3, -math.Pi/2)
	case 7:
		return cross(at, r*1.35, 0)
	case 8:
		return polygon(at, r*1.15, 5, math.Pi/2)
	default:
		d := r * 1.1
		return []xy{{at.x - d, at.y + d}, {at.x + d, at.y + d}, {at.x - d, at.y - d}, {at.x + d, at.y - d}}
	}
}

func polygon(at xy, r float64, n int, turn float64) []xy {
	out := make([]xy, n)
	for i := range out {
		sin, cos := math.Sincos(turn + 2*math.Pi*float64(i)/float64(n))
		out[i] = xy{at.x + r*cos, at.y + r*sin}
	}
	return out
}

func star(at xy, r float64) []xy {
	out := make([]xy, 10)
	for i := range out {
		d := r
		if i%2 == 1 {
			d = r * 0.42
		}
		sin, cos := math.Sincos(math.Pi/2 + math.Pi*float64(i)/5)
		out[i] = xy{at.x + d*cos, at.y + d*sin}
	}
	return out
}

func cross(at xy, r, turn float64) []xy {
	const arm = 0.36
	var out []xy
	for i := range 4 {
		sin, cos := math.Sincos(turn + math.Pi/2*float64(i))
		for _, q := range []xy{{arm, arm}, {1, arm}, {1, -arm}} { // from the inner corner round one arm
			q.x, q.y = q.x*r, -q.y*r
			out = append(out, xy{at.x + q.x*cos - q.y*sin, at.y + q.x*sin + q.y*cos})
		}
	}
	return out
}
