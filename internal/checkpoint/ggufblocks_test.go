package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestBlocks: blocks of any bits have the numbers that the package gguf gives them, to the bit
// (testdata/blocks.py).
func TestBlocks(t *testing.T) {
	var all map[string]struct {
		Blocks []byte
		SHA256 string
	}
	b, err := os.ReadFile("testdata/blocks.json")
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range blocks {
		if of.decode == nil {
			continue
		}
		want, ok := all[of.kind]
		if !ok || len(want.Blocks) < 2*of.bytes || len(want.Blocks)%of.bytes != 0 {
			t.Errorf("%s: %d bytes of blocks, wanted some of %d", of.kind, len(want.Blocks), of.bytes)
			continue
		}
		var numbers []byte
		dst := make([]float32, of.elements)
		for src := want.Blocks; len(src) > 0; src = src[of.bytes:] {
			of.decode(dst, src[:of.bytes])
			for _, x := range dst {
				numbers = binary.LittleEndian.AppendUint32(numbers, math.Float32bits(x))
			}
		}
		if sum := sha256.Sum256(numbers); hex.EncodeToString(sum[:]) != want.SHA256 {
			t.Errorf("%s: other numbers than the reference's", of.kind)
		}
	}
}
