//go:build !nodaulet

package tokenize

import (
	"fmt"
	"os"
	"testing"
)

func benchmarkFolder(b *testing.B) string {
	dir := "../.deps/models/smollm2-135m-instruct"
	if _, err := os.Stat(dir); err != nil {
		b.Skip("needs the real model (make real)")
	}
	return dir
}

func BenchmarkLoad(b *testing.B) {
	dir := benchmarkFolder(b)
	for b.Loop() {
		tok, err := Load(dir)
		if err != nil {
			b.Fatal(err)
		}
		tok.Close()
	}
}

func BenchmarkRaw(b *testing.B) {
	tok := mustLoad(b, benchmarkFolder(b))
	for b.Loop() {
		if _, err := tok.Raw("What, in one word, is the greatest thing ever?", " Freedom"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChat(b *testing.B) {
	tok := mustLoad(b, benchmarkFolder(b))
	for b.Loop() {
		if _, err := tok.Chat("What, in one word, is the greatest thing ever?", "Freedom", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplies is new replies to one prompt, BenchmarkPrompts new prompts with new replies.
func BenchmarkReplies(b *testing.B) {
	tok := mustLoad(b, benchmarkFolder(b))
	for n := 0; b.Loop(); n++ {
		if _, err := tok.Chat("What, in one word, is the greatest thing ever?", fmt.Sprint("Freedom", n), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrompts(b *testing.B) {
	tok := mustLoad(b, benchmarkFolder(b))
	for n := 0; b.Loop(); n++ {
		if _, err := tok.Chat(fmt.Sprint("What, in one word, is the greatest thing of all ", n), fmt.Sprint("Freedom", n), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	tok := mustLoad(b, benchmarkFolder(b))
	for b.Loop() {
		if _, err := tok.Render([]Message{{Role: "user", Content: "What, in one word, is the greatest thing ever?"}}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVocab(b *testing.B) {
	tok := mustLoad(b, benchmarkFolder(b))
	for b.Loop() {
		for range tok.Vocab() {
		}
	}
}
