package jinja

import (
	"fmt"
	"slices"
)

// parser follows jinja2/parser.py of Jinja 3.1.6.
type parser struct {
	tokens  []token
	pos     int
	nesting int
	macros  []*macroDef // those being parsed, the innermost last
	loops   int         // loops around the current statement, inside the innermost macro
}

func (p *parser) current() token { return p.tokens[p.pos] }

func (p *parser) look() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != "eof" {
		p.pos++
	}
	return t
}

func (p *parser) at(kind string) bool { return p.current().kind == kind }

func (p *parser) atName(names ...string) bool {
	return p.at("name") && slices.Contains(names, p.current().text)
}

func (p *parser) skip(kind string) bool {
	if p.at(kind) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.atName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) fail(format string, args ...any) {
	panic(&Error{Kind: "TemplateSyntaxError", Message: fmt.Sprintf(format, args...), Line: p.current().line})
}

func (p *parser) unsupported(message string) {
	panic(&Error{Kind: "NotSupportedError", Message: message, Line: p.current().line})
}

func describe(t token) string {
	switch t.kind {
	case "eof":
		return "end of template"
	case "name":
		return t.text
	case "{{":
		return "begin of print statement"
	case "}}":
		return "end of print statement"
	case "{%":
		return "begin of statement block"
	case "%}":
		return "end of statement block"
	}
	return t.kind
}

func (p *parser) expect(kind string) token {
	if !p.at(kind) {
		if p.at("eof") {
			p.fail("unexpected end of template, expected '%s'.", describe(token{kind: kind, text: kind}))
		}
		p.fail("expected token '%s', got '%s'", describe(token{kind: kind, text: kind}), describe(p.current()))
	}
	return p.next()
}

func (p *parser) expectName(name string) token {
	if !p.atName(name) {
		p.fail("expected token '%s', got '%s'", name, describe(p.current()))
	}
	return p.next()
}

// enter limits the depth of the tree; callers leave with p.nesting--.
func (p *parser) enter() {
	if p.nesting++; p.nesting > maxNesting {
		p.fail("nested more than %d deep", maxNesting)
	}
}

func (p *parser) template() []stmt {
	body := p.body(nil)
	if !p.at("eof") {
		p.fail("unexpected '%s'", describe(p.current()))
	}
	return body
}

// body reads statements up to a tag whose name is in ends, and stops at that name; if ends
// is nil, up to the end of the template.
func (p *parser) body(ends []string) []stmt {
	p.enter()
	defer func() { p.nesting-- }()
	var body []stmt
	for {
		t := p.current()
		switch t.kind {
		case "eof":
			if ends != nil {
				p.fail("Unexpected end of template. Jinja was looking for the following tags: '%s'.", ends[0])
			}
			return body
		case "data":
			p.next()
			body = append(body, &dataStmt{t.text})
		case "{{":
			p.next()
			body = append(body, &outputStmt{t.line, p.tuple(tupleAny)})
			p.expect("}}")
		case "{%":
			p.next()
			if !p.at("name") {
				p.fail("tag name expected")
			}
			if slices.Contains(ends, p.current().text) {
				return body
			}
			body = append(body, p.statement())
			p.expect("%}")
		default:
			p.fail("unexpected '%s'", describe(t))
		}
	}
}

// block reads the end of a statement's opening tag, and its body.
func (p *parser) block(ends ...string) []stmt {
	p.skip(":")
	p.expect("%}")
	return p.body(ends)
}

func (p *parser) statement() stmt {
	t := p.next()
	switch t.text {
	case "for":
		return p.forLoop(t.line)
	case "if":
		return p.ifElse(t.line)
	case "set":
		return p.set(t.line)
	case "macro":
		name := p.expect("name").text
		return &macroStmt{t.line, p.macro(name, true, "endmacro")}
	case "call":
		def := p.macro("caller", p.at("("), "")
		call, ok := p.expression().(*callExpr)
		if !ok {
			p.fail("expected call")
		}
		p.macroBody(def, "endcall")
		return &callStmt{t.line, def, call}
	case "generation":
		// transformers' own tag: the body is a call block, so its assignments are local.
		def := &macroDef{}
		p.macroBody(def, "endgeneration")
		return &generationStmt{def.body}
	case "filter":
		s := &filterStmt{line: t.line, filter: p.filter(p.oneFilter(nil)).(*filterExpr)}
		s.body = p.block("endfilter")
		p.next()
		return s
	case "with":
		return p.with()
	case "break", "continue":
		if p.loops == 0 {
			panic(&Error{"SyntaxError", "'" + t.text + "' outside loop", t.line})
		}
		return &jumpStmt{t.text == "break"}
	case "include", "import", "from", "extends":
		p.fail("the tag '%s' is refused: a chat template reads no other file", t.text)
	case "autoescape", "block", "print":
		p.unsupported("the tag '" + t.text + "' is not supported")
	default:
		p.fail("Encountered unknown tag '%s'.", t.text)
	}
	return nil
}

func (p *parser) forLoop(line int) stmt {
	s := &forStmt{line: line, target: p.target(tuplePlain)}
	p.expectName("in")
	s.iter = p.tuple(tupleNoCondition)
	if p.skipName("if") {
		s.test = p.expression()
	}
	if p.atName("recursive") {
		p.unsupported("a recursive loop is not supported")
	}
	p.loops++
	s.body = p.block("endfor", "else")
	p.loops--
	if p.next().text == "else" {
		s.orElse = p.block("endfor")
		p.next()
	}
	return s
}

func (p *parser) ifElse(line int) stmt {
	s := &ifStmt{}
	for {
		s.arms = append(s.arms, arm{line, p.tuple(tupleNoCondition), p.block("elif", "else", "endif")})
		switch t := p.next(); t.text {
		case "elif":
			line = t.line
			continue
		case "else":
			s.orElse = p.block("endif")
			p.next()
		}
		return s
	}
}

func (p *parser) set(line int) stmt {
	target := p.target(tupleNamespace)
	if p.skip("=") {
		return &setStmt{line, target, p.tuple(tupleAny)}
	}
	if p.at("|") {
		p.unsupported("a filter of a set block is not supported")
	}
	s := &setBlockStmt{line, target, p.block("endset")}
	p.next()
	return s
}

func (p *parser) with() stmt {
	s := &withStmt{}
	for !p.at("%}") {
		if s.targets != nil {
			p.expect(",")
		}
		s.targets = append(s.targets, p.target(tuplePlain))
		p.expect("=")
		s.values = append(s.values, p.expression())
	}
	s.body = p.block("endwith")
	p.next()
	return s
}

// macro reads an optional signature, and the body if end names the closing tag.
func (p *parser) macro(name string, signature bool, end string) *macroDef {
	def := &macroDef{name: name}
	if signature {
		p.expect("(")
		for !p.at(")") {
			if def.args != nil {
				p.expect(",")
			}
			def.args = append(def.args, p.expect("name").text)
			if p.skip("=") {
				def.defaults = append(def.defaults, p.expression())
			} else if def.defaults != nil {
				p.fail("non-default argument follows default argument")
			}
		}
		p.expect(")")
	}
	if end != "" {
		p.macroBody(def, end)
	}
	return def
}

func (p *parser) macroBody(def *macroDef, end string) {
	p.macros = append(p.macros, def)
	loops := p.loops
	p.loops = 0
	def.body = p.block(end)
	p.loops = loops
	p.next()
	p.macros = p.macros[:len(p.macros)-1]
}

// target reads the target of a loop or an assignment.
func (p *parser) target(form tupleForm) expr {
	t := p.tuple(form)
	var check func(e expr)
	check = func(e expr) {
		switch e := e.(type) {
		case *nameExpr, *attrTarget:
		case *listExpr:
			if !e.tuple {
				p.fail("can't assign to 'list'")
			}
			for _, item := range e.items {
				check(item)
			}
		default:
			p.fail("can't assign to an expression")
		}
	}
	check(t)
	return t
}
