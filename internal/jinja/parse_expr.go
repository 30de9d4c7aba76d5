package jinja

import "slices"

// tupleForm says what a list of expressions without brackets may contain.
type tupleForm int

const (
	tupleAny         tupleForm = iota
	tupleNoCondition           // "a if b" is excluded
	tupleParens                // in parentheses: may be empty
	tuplePlain                 // names and literals only
	tupleNamespace             // names, literals and namespace attributes
)

// tuple reads comma-separated expressions; a single one without a comma is itself.
func (p *parser) tuple(form tupleForm) expr {
	var items []expr
	comma := false
	for {
		if items != nil {
			p.expect(",")
		}
		// After a comma, Jinja reads "in" and "recursive" as names.
		if p.at("}}") || p.at("%}") || p.at(")") {
			break
		}
		switch form {
		case tuplePlain, tupleNamespace:
			items = append(items, p.primary(form == tupleNamespace))
		case tupleNoCondition:
			items = append(items, p.or())
		default:
			items = append(items, p.expression())
		}
		if !p.at(",") {
			break
		}
		comma = true
	}
	if !comma {
		if items != nil {
			return items[0]
		}
		if form != tupleParens {
			p.fail("Expected an expression, got '%s'", describe(p.current()))
		}
	}
	return &listExpr{items, true}
}

// expression reads "a if b else c" and everything that binds more tightly.
func (p *parser) expression() expr {
	p.enter()
	defer func() { p.nesting-- }()
	e := p.or()
	for depth := 0; p.skipName("if"); depth++ {
		p.chain(depth)
		c := &condExpr{then: e, test: p.or()}
		if p.skipName("else") {
			c.orElse = p.expression()
		}
		e = c
	}
	return e
}

// chain limits consecutive operators, which nest to the left.
func (p *parser) chain(n int) {
	if n > maxChain {
		p.fail("more than %d operators in a row", maxChain)
	}
}

func (p *parser) or() expr {
	e := p.and()
	for n := 0; p.skipName("or"); n++ {
		p.chain(n)
		e = &boolExpr{e, p.and(), true}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for n := 0; p.skipName("and"); n++ {
		p.chain(n)
		e = &boolExpr{e, p.not(), false}
	}
	return e
}

func (p *parser) not() expr {
	if p.skipName("not") {
		p.enter()
		defer func() { p.nesting-- }()
		return &notExpr{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	e := p.sum()
	c := &compareExpr{first: e}
	for {
		op := p.current().kind
		switch {
		case slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op):
			p.next()
		case p.skipName("in"):
			op = "in"
		case p.atName("not") && p.look().kind == "name" && p.look().text == "in":
			p.next()
			p.next()
			op = "not in"
		default:
			if c.ops == nil {
				return e
			}
			return c
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
}

// binary reads operands and operators of one precedence.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	e := operand()
	for n := 0; slices.Contains(ops, p.current().kind); n++ {
		p.chain(n)
		op := p.next().kind
		e = &binaryExpr{op, e, operand()}
	}
	return e
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	e := p.product()
	if !p.at("~") {
		return e
	}
	c := &concatExpr{[]expr{e}}
	for p.skip("~") {
		c.items = append(c.items, p.product())
	}
	return c
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr { return p.binary(func() expr { return p.unary(true) }, "**") }

func (p *parser) unary(filters bool) expr {
	var e expr
	switch {
	case p.at("-") || p.at("+"):
		op := p.next().kind
		p.enter()
		e = &unaryExpr{op, p.unary(false)}
		p.nesting--
	default:
		e = p.primary(false)
	}
	e = p.postfix(e)
	if filters {
		e = p.filters(e)
	}
	return e
}

func (p *parser) primary(namespaces bool) expr {
	p.enter()
	defer func() { p.nesting-- }()
	t := p.current()
	switch t.kind {
	case "name":
		p.next()
		switch t.text {
		case "true", "True":
			return &constExpr{true}
		case "false", "False":
			return &constExpr{false}
		case "none", "None":
			return &constExpr{nil}
		}
		if namespaces && p.skip(".") {
			return &attrTarget{t.text, p.expect("name").text}
		}
		for _, m := range p.macros {
			switch t.text {
			case "caller":
				m.usesCaller = true
			case "kwargs", "varargs":
				p.unsupported("the name " + t.text + " in a macro is not supported")
			}
		}
		return &nameExpr{t.text}
	case "string":
		s := ""
		for p.at("string") {
			s += p.next().value.(string)
		}
		return &constExpr{s}
	case "integer", "float":
		p.next()
		return &constExpr{t.value}
	case "(":
		p.next()
		e := p.tuple(tupleParens)
		p.expect(")")
		return e
	case "[":
		p.next()
		l := &listExpr{}
		for !p.at("]") {
			if l.items != nil {
				p.expect(",")
			}
			if p.at("]") {
				break
			}
			l.items = append(l.items, p.expression())
		}
		p.expect("]")
		return l
	case "{":
		return p.dict()
	}
	p.fail("unexpected '%s'", describe(t))
	return nil
}

// dict reads a dict between its braces.
func (p *parser) dict() expr {
	p.next()
	d := &dictExpr{}
	for !p.at("}") {
		if d.keys != nil {
			p.expect(",")
		}
		if p.at("}") {
			break
		}
		d.keys = append(d.keys, p.expression())
		p.expect(":")
		d.values = append(d.values, p.expression())
	}
	p.expect("}")
	return d
}

func (p *parser) postfix(e expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch {
		case p.at(".") || p.at("["):
			e = p.subscript(e)
		case p.at("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) filters(e expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch {
		case p.at("|"):
			e = p.filter(e)
		case p.atName("is"):
			e = p.test(e)
		case p.at("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) subscript(e expr) expr {
	line := p.current().line
	if p.next().kind == "." {
		t := p.next()
		switch t.kind {
		case "name":
			return &attrExpr{line, e, t.text}
		case "integer":
			return &itemExpr{line, e, &constExpr{t.value}}
		}
		p.fail("expected name or number")
	}
	var args []expr
	for !p.at("]") {
		if args != nil {
			p.expect(",")
		}
		args = append(args, p.subscribed())
	}
	p.expect("]")
	if len(args) == 1 {
		return &itemExpr{line, e, args[0]}
	}
	return &itemExpr{line, e, &listExpr{args, true}}
}

// subscribed reads an index or a slice.
func (p *parser) subscribed() expr {
	s := &sliceExpr{}
	if !p.at(":") {
		e := p.expression()
		if !p.at(":") {
			return e
		}
		s.start = e
	}
	p.next()
	if !p.at(":") && !p.at("]") && !p.at(",") {
		s.stop = p.expression()
	}
	if p.skip(":") && !p.at("]") && !p.at(",") {
		s.step = p.expression()
	}
	return s
}

func (p *parser) call(e expr) expr {
	line := p.current().line
	return &callExpr{line, e, p.callArgs()}
}

func (p *parser) callArgs() callArgs {
	var a callArgs
	p.expect("(")
	for comma := false; !p.at(")"); comma = true {
		if comma {
			p.expect(",")
			if p.at(")") {
				break
			}
		}
		switch {
		case p.at("**"):
			p.unsupported("arguments after ** are not supported")
		case p.skip("*"):
			if a.more != nil {
				p.fail("invalid syntax for function call expression")
			}
			a.more = p.expression()
		case p.at("name") && p.look().kind == "=":
			a.names = append(a.names, p.next().text)
			p.next()
			a.named = append(a.named, p.expression())
		default:
			if a.more != nil || a.names != nil {
				p.fail("invalid syntax for function call expression")
			}
			a.pos = append(a.pos, p.expression())
		}
	}
	p.expect(")")
	return a
}

// filter reads the following filters, each after a pipe.
func (p *parser) filter(e expr) expr {
	for n := 0; p.at("|"); n++ {
		p.chain(n)
		p.next()
		e = p.oneFilter(e)
	}
	return e
}

func (p *parser) oneFilter(base expr) *filterExpr {
	f := &filterExpr{line: p.current().line, base: base, name: p.dotted()}
	if p.at("(") {
		f.args = p.callArgs()
	}
	return f
}

func (p *parser) dotted() string {
	name := p.expect("name").text
	for p.skip(".") {
		name += "." + p.expect("name").text
	}
	return name
}

func (p *parser) test(e expr) expr {
	p.next()
	not := p.skipName("not")
	t := &testExpr{line: p.current().line, base: e, name: p.dotted()}
	switch {
	case p.at("("):
		t.args = p.callArgs()
	case slices.Contains([]string{"name", "string", "integer", "float", "[", "{"}, p.current().kind) && !p.atName("else", "or", "and"):
		if p.atName("is") {
			p.fail("You cannot chain multiple tests with is")
		}
		t.args.pos = []expr{p.postfix(p.primary(false))}
	}
	if not {
		return &notExpr{t}
	}
	return t
}
