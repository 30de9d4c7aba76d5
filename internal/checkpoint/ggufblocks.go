package checkpoint

import "encoding/binary"

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
