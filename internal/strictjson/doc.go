// Package strictjson reads JSON strictly, and refuses what encoding/json would accept or
// change silently: repeated keys of an object, at any depth; keys that differ from a field's
// name in case; bytes that are not UTF-8 and unpaired surrogates (U+FFFD there); numbers
// beyond float64; text after the value; more than [MaxDepth] nested lists and objects.
//
//	data -> Members, Object, List   one level of a value; its parts are checked too
//	data -> Unmarshal               a struct, whose fields are all that may occur
//	part -> String, Null            for values that these return
//
// It writes JSON as other programs do: <, > and & are not escaped (Write, Marshal), and
// infinity is null (AppendFloat).
//
// It builds on github.com/go-json-experiment/json, which is Go 1.27's encoding/json/v2 for
// earlier releases, and adds errors that name the place, and the bounds.
package strictjson
