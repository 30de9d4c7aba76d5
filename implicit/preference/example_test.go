package preference_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/preference"
)

// Rows of different shapes are read as the same preference; one that is none is refused by
// itself.
func ExampleRead() {
	data := `{"prompt": "Hi", "chosen": "Hello", "rejected": "Go", "source": "ours"}
{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: Go"}
{"prompt": "Hi", "response_1": "Hello", "response_2": "Go", "preference_strength": -2}`
	for row, err := range preference.Read(context.Background(), strings.NewReader(data)) {
		switch {
		case err != nil:
			fmt.Println(err) // the file cannot be read on
		case row.Err != nil:
			fmt.Println(row.Number, row.Err)
		default:
			fmt.Println(row.Number, row.Messages[0].Content, row.Chosen, row.Rejected, row.Unread)
		}
	}
	// Output:
	// 1 Hi [Hello] [Go] [source]
	// 2 Hi [Hello] [Go] []
	// 3 no "chosen", found "prompt", "response_1", "response_2", "preference_strength"
}

// BenchmarkRead reads a megabyte of preferences.
func BenchmarkRead(b *testing.B) {
	line := `{"prompt": [{"role": "user", "content": "` + strings.Repeat("What is best? ", 30) + `"}], "chosen": "` + strings.Repeat("Freedom ", 60) + `", "rejected": "` + strings.Repeat("Power ", 60) + `"}` + "\n"
	data := strings.Repeat(line, 1<<20/len(line))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for row, err := range preference.Read(b.Context(), strings.NewReader(data)) {
			if err != nil || row.Err != nil {
				b.Fatal(row.Err, err)
			}
		}
	}
}
