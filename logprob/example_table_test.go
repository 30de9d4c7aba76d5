package logprob_test

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/implicitreward/implicitreward/logprob"
)

func ExampleReadCSV() {
	const file = `token_id,token_name,token_decoded,greatest_ever_one
0,<pad>,<pad>,-inf
1,NA,NA,-12.837289810180664
2,▁Love, Love,-0.5
`
	t, err := logprob.ReadCSV(strings.NewReader(file))
	if err != nil {
		log.Fatal(err)
	}
	column, _ := t.Column("greatest_ever_one")
	for i, tok := range t.Tokens {
		fmt.Printf("%d %q %v\n", tok.ID, tok.Text, column[i])
	}
	// Output:
	// 0 "<pad>" -Inf
	// 1 "NA" -12.83729
	// 2 " Love" -0.5
}

func ExampleMeta_WriteJSON() {
	meta := logprob.Meta{Model: "org/model", DType: "bf16", Rendering: "raw"}
	if err := meta.WriteJSON(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {
	//   "model": "org/model",
	//   "dtype": "bf16",
	//   "rendering": "raw"
	// }
}

func ExampleResult() {
	s := logprob.Result{LogProbs: []float32{-0.5, -1.5}}
	fmt.Println(s.Sum(), s.Mean())
	// Output: -2 -1
}
