// Package strictjson reads JSON as it is written, and refuses what encoding/json would let
// pass or change without a word: a key that one object has twice, at any depth; a key that
// differs from a field's name in its case; bytes that are not UTF-8 and halves of surrogate
// pairs (U+FFFD there); numbers beyond float64; text after the value; more than [MaxDepth]
// lists and objects in one another.
//
//	data -> Members, Object, List   one level of a value, whose parts are checked too
//	data -> Unmarshal               a struct, whose fields are all that there may be
//	part -> String, Null            of what these return
//
// and writes it as the rest of the world expects: <, > and & stay (Write, Marshal), infinity
// is null (AppendFloat).
//
// It stands on github.com/go-json-experiment/json, which is Go 1.27's encoding/json/v2 for
// earlier releases; what it adds is errors that say where, and the bounds.
package strictjson
