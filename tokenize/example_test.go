//go:build !nodaulet

package tokenize_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/implicitreward/implicitreward/tokenize"
)

// The folder is one of this package's small test tokenizers, in the shape of SmolLM2's.
func load() *tokenize.Tokenizer {
	t, err := tokenize.Load("testdata/smollm2")
	if err != nil {
		log.Fatal(err)
	}
	return t
}

func pieces(t *tokenize.Tokenizer, ids []int32) string {
	var s []string
	for _, id := range ids {
		s = append(s, fmt.Sprintf("%q", t.Decode(id)))
	}
	return strings.Join(s, " ")
}

func ExampleTokenizer_Raw() {
	t := load()
	defer t.Close()
	for _, c := range [][2]string{{"What is it?", " It is love"}, {"hello wor", "ld"}, {"What is it?", ""}} {
		text, err := t.Raw(c[0], c[1])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(pieces(t, text.IDs[:text.Reply]), "->", pieces(t, text.IDs[text.Reply:]), text.Straddle)
	}
	_, err := t.Raw("What is it?", "\xff")
	fmt.Println(err)
	// Output:
	// "What" " is" " it" "?" -> " It" " is" " lo" "ve" false
	// "h" "ello" -> " world" true
	// "What" " is" " it" "?" ->  false
	// tokenize: reply: byte 0xff at byte 0 is not UTF-8
}

func ExampleTokenizer_Chat() {
	t := load()
	defer t.Close()
	text, err := t.Chat("What is it?", "Love", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text.Rendered[:text.Start])
	fmt.Println("|", pieces(t, text.IDs[text.Reply:]))
	// Output:
	// <|im_start|>user
	// What is it?<|im_end|>
	// <|im_start|>assistant
	// | "Lo" "ve"
}

func ExampleTokenizer_Vocab() {
	t := load()
	defer t.Close()
	for token := range t.Vocab() {
		if strings.EqualFold(token.Text, " love") || token.Name == "æ" {
			b, _ := t.Bytes(token.ID)
			fmt.Printf("%d %q %q % x\n", token.ID, token.Name, token.Text, b)
		}
	}
	// Output:
	// 165 "æ" "�" e6
	// 389 "ĠLove" " Love" 20 4c 6f 76 65
}
