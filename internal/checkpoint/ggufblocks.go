package checkpoint

import (
	"encoding/binary"
	"math"
)

// The blocks of GGUF's types, as quants.dequantize of the package gguf 0.19 decodes them (and
// dequantize_row_* of ggml-quants.c): every product and sum is rounded to float32.

// half reads a float16.
func half(b []byte) float32 { return fromFloat16(binary.LittleEndian.Uint16(b)) }

// q8_0 is d q, with 32 q from -128 to 127.
func q8_0(dst []float32, src []byte) {
	d := half(src)
	for i := range 32 {
		dst[i] = float32(int8(src[2+i])) * d
	}
}

// q4_0 is d (q - 8): the low halves of 16 bytes, then the high ones.
func q4_0(dst []float32, src []byte) {
	d := half(src)
	for i, b := range src[2:18] {
		dst[i] = d * float32(int(b&15)-8)
		dst[16+i] = d * float32(int(b>>4)-8)
	}
}

// q4_1 is d q + m.
func q4_1(dst []float32, src []byte) {
	d, m := half(src), half(src[2:])
	for i, b := range src[4:20] {
		dst[i] = float32(d*float32(b&15)) + m
		dst[16+i] = float32(d*float32(b>>4)) + m
	}
}

// q5_0 is d (q - 16): 4 bits of q as q4_0's, and a fifth of each in 32 bits.
func q5_0(dst []float32, src []byte) {
	d, high := half(src), binary.LittleEndian.Uint32(src[2:])
	for i, b := range src[6:22] {
		dst[i] = d * float32(int(b&15|byte(high>>i&1<<4))-16)
		dst[16+i] = d * float32(int(b>>4|byte(high>>(16+i)&1<<4))-16)
	}
}

// q5_1 is d q + m.
func q5_1(dst []float32, src []byte) {
	d, m, high := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:])
	for i, b := range src[8:24] {
		dst[i] = float32(d*float32(b&15|byte(high>>i&1<<4))) + m
		dst[16+i] = float32(d*float32(b>>4|byte(high>>(16+i)&1<<4))) + m
	}
}

// iq4 are the numbers that 4 bits of IQ4_NL and IQ4_XS stand for (kvalues_iq4nl).
var iq4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// mxfp4s are those of MXFP4, twice the numbers of FP4 (kvalues_mxfp4).
var mxfp4s = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// named is d times the number that each 4 bits stand for, in the order of q4_0.
func named(dst []float32, d float32, numbers *[16]float32, src []byte) {
	for i, b := range src[:16] {
		dst[i] = d * numbers[b&15]
		dst[16+i] = d * numbers[b>>4]
	}
}

func iq4NL(dst []float32, src []byte) { named(dst, half(src), &iq4, src[2:]) }

// iq4XS has 6 bits of a factor for each 32 elements: 4 of them in 4 bytes, 2 in 16 bits.
func iq4XS(dst []float32, src []byte) {
	d, high := half(src), binary.LittleEndian.Uint16(src[2:])
	for group := range 8 {
		scale := int(src[4+group/2]>>(group%2*4)&15|byte(high>>(2*group)&3<<4)) - 32
		named(dst[group*32:], d*float32(scale), &iq4, src[8+group*16:])
	}
}

// mxfp4Block is 2^(e-128) times a number of mxfp4s.
func mxfp4Block(dst []float32, src []byte) {
	e := uint32(src[0])
	bits := uint32(0x200000) << e // of 2^-128 and 2^-127, which are subnormal
	if e >= 2 {
		bits = (e - 1) << 23
	}
	named(dst, math.Float32frombits(bits), &mxfp4s, src[1:])
}

// q2K is d sc q - dmin m, with 4 bits of sc and m for 16 elements.
func q2K(dst []float32, src []byte) {
	d, dmin := half(src[80:]), half(src[82:])
	for group := range 16 {
		factor, offset := d*float32(src[group]&15), dmin*float32(src[group]>>4)
		shift := group % 8 / 2 * 2
		for i, b := range src[16+group/8*32+group%2*16:][:16] {
			dst[group*16+i] = float32(factor*float32(b>>shift&3)) - offset
		}
	}
}

// q3K is d (sc - 32) q, with 6 bits of sc for 16 elements, and q's third bit taking 4 off where it
// is not set.
func q3K(dst []float32, src []byte) {
	d, scales := half(src[108:]), src[96:108]
	for group := range 16 {
		scale := int(scales[group%8]>>(group/8*4)&15|scales[8+group%4]>>(group/4*2)&3<<4) - 32
		factor := d * float32(scale)
		shift := group % 8 / 2 * 2
		high := src[group%2*16:][:16]
		for i, b := range src[32+group/8*32+group%2*16:][:16] {
			q := int(b>>shift&3|high[i]>>(group/2)&1<<2) - 4
			dst[group*16+i] = factor * float32(q)
		}
	}
}

// kScales are the factor and the offset of each of 8 groups of 32, d sc and dmin m, whose 6 bits
// each are packed in 12 bytes.
func kScales(d, dmin float32, s []byte) (factor, offset [8]float32) {
	for i := range 4 {
		factor[i] = d * float32(s[i]&63)
		offset[i] = dmin * float32(s[4+i]&63)
		factor[4+i] = d * float32(s[8+i]&15|s[i]>>2&0x30)
		offset[4+i] = dmin * float32(s[8+i]>>4|s[4+i]>>2&0x30)
	}
	return factor, offset
}

// q4K is d sc q - dmin m.
func q4K(dst []float32, src []byte) {
	factor, offset := kScales(half(src), half(src[2:]), src[4:16])
	for group := range 8 {
		f, o := factor[group], offset[group]
		shift := group % 2 * 4
		for i, b := range src[16+group/2*32:][:32] {
			dst[group*32+i] = float32(f*float32(b>>shift&15)) - o
		}
	}
}

// q5K is q4K with a fifth bit of q, each group's in a bit of 32 bytes.
func q5K(dst []float32, src []byte) {
	factor, offset := kScales(half(src), half(src[2:]), src[4:16])
	high := src[16:48]
	for group := range 8 {
		f, o := factor[group], offset[group]
		shift := group % 2 * 4
		for i, b := range src[48+group/2*32:][:32] {
			dst[group*32+i] = float32(f*float32(b>>shift&15|high[i]>>group&1<<4)) - o
		}
	}
}

// q6K is d sc (q - 32), with a factor for 16 elements: the low 4 bits of q in 128 bytes, the
// high 2 in 64.
func q6K(dst []float32, src []byte) {
	d := half(src[208:])
	for part := range 8 { // of 32 elements; each half of the block has 4 of them
		low := src[part/4*64+part%2*32:][:32]
		high := src[128+part/4*32:][:32]
		lowShift, highShift := part%4/2*4, part%4*2
		for i := range 32 {
			q := int(low[i]>>lowShift&15|high[i]>>highShift&3<<4) - 32
			scale := d * float32(int8(src[192+part*2+i/16]))
			dst[part*32+i] = scale * float32(q)
		}
	}
}
